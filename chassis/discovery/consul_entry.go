package discovery

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// Consul's limits on service metadata (agent/structs: metaMaxKeyPairs, metaKeyMaxLength, metaValueMaxLength), in bytes.
const (
	maxPairs = 64
	maxKey   = 128
	maxValue = 512
)

// Keys of our own in Consul's metadata. A list that does not fit one value goes on in endpoints-2, endpoints-3, ...
const (
	keyVersion   = "version"
	keyEndpoints = "endpoints"
	keyOverflow  = "more" // JSON of the pairs that Consul would refuse
	streamMark   = " (stream)"
)

// encodeNode turns one go-micro node into what Consul is asked to hold.
func encodeNode(s *registry.Service, n *registry.Node, conf ConsulConfig) (*api.AgentServiceRegistration, error) {
	host, portText, err := net.SplitHostPort(n.Address)
	if err != nil {
		return nil, fmt.Errorf("split address %q: %w", n.Address, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 1 || port > 65535 {
		return nil, fmt.Errorf("address %q has no port", n.Address)
	}
	meta, err := encodeMeta(s, n)
	if err != nil {
		return nil, err
	}
	check, err := encodeCheck(s.Name, n, conf)
	if err != nil {
		return nil, err
	}
	return &api.AgentServiceRegistration{
		ID: n.Id, Name: s.Name, Address: host, Port: port,
		Tags: tags(s, n, conf.Tags), Meta: meta, Check: check,
	}, nil
}

// tags are for people: what it is, what it speaks, which version.
func tags(s *registry.Service, n *registry.Node, more []string) []string {
	out := []string{tag}
	add := func(t string) {
		if t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if n.Metadata["module"] != "" {
		add("module")
	}
	for protocol := range strings.SplitSeq(n.Metadata["protocol"], ",") {
		add(strings.TrimSpace(protocol))
	}
	version := s.Version
	if version != "" && version[0] >= '0' && version[0] <= '9' {
		version = "v" + version
	}
	add(version)
	for _, t := range more {
		add(t)
	}
	return out
}

// encodeCheck reads the node's "check".
func encodeCheck(service string, n *registry.Node, conf ConsulConfig) (*api.AgentServiceCheck, error) {
	kind, arg, _ := strings.Cut(n.Metadata["check"], ":")
	c := &api.AgentServiceCheck{
		CheckID:                        "check:" + n.Id,
		Interval:                       conf.CheckInterval.String(),
		Timeout:                        conf.CheckTimeout.String(),
		Status:                         api.HealthPassing, // it listens before it registers
		FailuresBeforeCritical:         2,
		DeregisterCriticalServiceAfter: conf.Reap.String(),
	}
	switch kind {
	case "", "grpc":
		c.GRPC = n.Address
		if arg != "" {
			c.GRPC += "/" + arg
		}
		// It asks for health, and trusts nobody for it. An instance that wants a client's certificate is better checked by "tcp".
		c.GRPCUseTLS = n.Metadata["tls"] == "1"
		c.TLSSkipVerify = c.GRPCUseTLS
		c.Name = fmt.Sprintf("gRPC health of %s at %s", service, n.Address)
	case "http":
		c.HTTP = "http://" + n.Address + "/" + strings.TrimPrefix(arg, "/")
		c.Name = fmt.Sprintf("GET %s of %s at %s", "/"+strings.TrimPrefix(arg, "/"), service, n.Address)
	case "tcp":
		c.TCP = n.Address
		c.Name = fmt.Sprintf("TCP connection to %s at %s", service, n.Address)
	case "none":
		return nil, nil
	default:
		return nil, fmt.Errorf("metadata check=%q: want grpc, grpc:NAME, http:/path, tcp or none", n.Metadata["check"])
	}
	return c, nil
}

// encodeMeta keeps what Consul takes as it is, and packs the rest into JSON, so that it all comes back.
func encodeMeta(s *registry.Service, n *registry.Node) (map[string]string, error) {
	meta := map[string]string{keyVersion: s.Version}
	if len(s.Version) > maxValue {
		return nil, fmt.Errorf("version has %d bytes, Consul takes %d", len(s.Version), maxValue)
	}
	names := make([]string, 0, len(s.Endpoints))
	for _, e := range s.Endpoints {
		name := e.Name
		if e.Metadata["stream"] == "true" {
			name += streamMark
		}
		names = append(names, name)
	}
	spread(meta, keyEndpoints, strings.Join(names, ", "))

	more := make(map[string]string)
	for _, k := range slices.Sorted(maps.Keys(n.Metadata)) {
		v := n.Metadata[k]
		_, taken := meta[k]
		if (taken && meta[k] != v) || !plain(k) || len(v) > maxValue || len(meta) >= maxPairs/2 || reserved(k) {
			more[k] = v
			continue
		}
		meta[k] = v
	}
	if len(more) > 0 {
		b, err := json.Marshal(more)
		if err != nil {
			return nil, fmt.Errorf("encode metadata: %w", err)
		}
		spread(meta, keyOverflow, string(b))
	}
	if len(meta) > maxPairs {
		return nil, fmt.Errorf("metadata needs %d pairs of Consul, which takes %d", len(meta), maxPairs)
	}
	return meta, nil
}

// reserved names are ours or Consul's.
func reserved(k string) bool {
	return strings.HasPrefix(k, "consul-") || k == keyEndpoints || k == keyOverflow ||
		strings.HasPrefix(k, keyEndpoints+"-") || strings.HasPrefix(k, keyOverflow+"-")
}

// plain keys are those Consul takes: letters, digits, - and _.
func plain(k string) bool {
	for _, r := range k {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return k != "" && len(k) <= maxKey
}

// spread writes text under key, key-2, key-3, ... in values that Consul takes, cut between runes.
func spread(meta map[string]string, key, text string) {
	for i := 1; text != ""; i++ {
		cut := min(len(text), maxValue)
		for cut < len(text) && !utf8.RuneStart(text[cut]) {
			cut--
		}
		k := key
		if i > 1 {
			k = key + "-" + strconv.Itoa(i)
		}
		meta[k], text = text[:cut], text[cut:]
	}
}

// gather is spread's inverse; it takes the keys out of meta.
func gather(meta map[string]string, key string) string {
	var b strings.Builder
	for i := 1; ; i++ {
		k := key
		if i > 1 {
			k = key + "-" + strconv.Itoa(i)
		}
		v, ok := meta[k]
		if !ok {
			return b.String()
		}
		b.WriteString(v)
		delete(meta, k)
	}
}

// decodeEntry turns Consul's entry into an instance. A service that some other tool registered comes out as well as it can.
func decodeEntry(e *api.ServiceEntry) instance {
	meta := make(map[string]string, len(e.Service.Meta))
	for k, v := range e.Service.Meta {
		meta[k] = v
	}
	var endpoints []*registry.Endpoint
	if list := gather(meta, keyEndpoints); list != "" {
		for _, name := range strings.Split(list, ", ") {
			ep := &registry.Endpoint{Name: strings.TrimSuffix(name, streamMark), Metadata: map[string]string{}}
			if strings.HasSuffix(name, streamMark) {
				ep.Metadata["stream"] = "true"
			}
			endpoints = append(endpoints, ep)
		}
	}
	version := meta[keyVersion]
	if more := gather(meta, keyOverflow); more != "" {
		var pairs map[string]string
		if json.Unmarshal([]byte(more), &pairs) == nil {
			for k, v := range pairs {
				meta[k] = v
			}
		}
	}
	host := e.Service.Address
	if host == "" {
		host = e.Node.Address
	}
	return instance{
		version: version, endpoints: endpoints, foreign: !slices.Contains(e.Service.Tags, tag),
		node: &registry.Node{Id: e.Service.ID, Address: net.JoinHostPort(host, strconv.Itoa(e.Service.Port)), Metadata: meta},
	}
}
