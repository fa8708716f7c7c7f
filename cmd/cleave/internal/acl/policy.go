// Package acl readies a Consul for the mesh: policies, tokens and intentions, the least that each party needs.
package acl

import (
	"fmt"
	"slices"
	"strings"
)

// Names of tokens, and of policies, beside those of the modules and of the gateway.
const (
	CLI        = "cleave-cli" // of the cleave command; an identity as well
	Agent      = "agent"
	Viewer     = "viewer" // for people who look at Consul's UI
	Up         = "up"     // of a process with everything in it: the policies of all modules, of the gateway and of the command
	Management = "management"
)

// Module is one that has an identity.
type Module struct {
	Name  string
	Calls []string // names of others
}

// Parties are all that have one, beside the command.
type Parties struct {
	Modules []Module
	Gateway string
}

// service is what each that serves may do: be itself, and find others. To read a service is to read its intentions too.
const service = `
# Itself: the entry in the registry, and the certificate of the name.
service "%[1]s" {
  policy = "write"
}

# Others: where they are, whether they are well, and who may call whom.
service_prefix "" {
  policy = "read"
}
node_prefix "" {
  policy = "read"
}

# Settings, which module runs where, what keeps calls from harm, and faults on purpose.
key_prefix "cleave/config/" {
  policy = "%[2]s"
}
key_prefix "cleave/topology/" {
  policy = "%[2]s"
}
key_prefix "cleave/resilience/" {
  policy = "%[2]s"
}
key_prefix "cleave/faults/" {
  policy = "%[2]s"
}
`

const history = `
# Who changed which setting.
key_prefix "cleave/config-history/" {
  policy = "write"
}
`

const documents = `
# The keys and the policies of callers from outside.
key_prefix "cleave/gateway/" {
  policy = "%s"
}
`

const agent = `
# The agent's own node, and what it says of services whose token is gone.
node_prefix "" {
  policy = "write"
}
service_prefix "" {
  policy = "read"
}
`

const viewer = `
# What the UI shows, but the key/value store: hashes of API keys are in it.
service_prefix "" {
  policy     = "read"
  intentions = "read"
}
node_prefix "" {
  policy = "read"
}
agent_prefix "" {
  policy = "read"
}
`

// Policies are the rules of each policy, by its name.
func Policies(p Parties) map[string]string {
	head := func(who string) string {
		return "# What " + who + " may do in Consul. Written by `cleave mesh policies consul/acl`.\n"
	}
	out := map[string]string{
		p.Gateway: head("the gateway") + fmt.Sprintf(service, p.Gateway, "read") + fmt.Sprintf(documents, "read"),
		CLI:       head("the cleave command") + fmt.Sprintf(service, CLI, "write") + fmt.Sprintf(documents, "write") + history,
		Agent:     head("Consul's agent itself") + agent,
		Viewer:    head("a person who looks") + viewer,
	}
	for _, m := range p.Modules {
		out[m.Name] = head("the module "+m.Name) + fmt.Sprintf(service, m.Name, "read")
	}
	return out
}

// tokens are the policies of each token, by its name.
func tokens(p Parties) map[string][]string {
	out := map[string][]string{}
	for name := range Policies(p) {
		out[name] = []string{name}
	}
	up := []string{p.Gateway, CLI}
	for _, m := range p.Modules {
		up = append(up, m.Name)
	}
	out[Up] = up
	return out
}

// callers are who may call each module.
func callers(p Parties) map[string][]string {
	out := map[string][]string{}
	for _, m := range p.Modules {
		out[m.Name] = append(out[m.Name], p.Gateway, CLI)
		for _, other := range m.Calls {
			out[other] = append(out[other], m.Name)
		}
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// policyName is what a policy, or a token, is called in Consul.
func policyName(name string) string { return "cleave-" + strings.TrimPrefix(name, "cleave-") }
