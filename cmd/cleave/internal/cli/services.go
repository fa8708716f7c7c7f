package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go-micro.dev/v4/registry"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/schema"
)

func (a *app) services() *cobra.Command {
	return &cobra.Command{
		Use: "services", Aliases: []string{"list"}, Short: "List the services in the registry", GroupID: "speak", Args: exactly(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			names, err := se.names()
			if err != nil {
				return err
			}
			if se.s.Output == "json" {
				return a.json(names)
			}
			for _, n := range names {
				if _, err := fmt.Fprintln(a.env.Stdout, n); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// names lists the services, sorted.
func (se *session) names() ([]string, error) {
	list, err := se.reg.ListServices()
	if err != nil {
		return nil, &codedError{exitUnreachable, fmt.Errorf("ask the registry: %w", err)}
	}
	names := make([]string, 0, len(list))
	for _, s := range list {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (a *app) describe() *cobra.Command {
	return &cobra.Command{
		Use: "describe [service] SERVICE", Short: "Show a service: its instances and its endpoints", GroupID: "speak", Args: exactly(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: a.completeEndpoints,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if len(args) == 2 && args[0] != "service" {
				return usagef("Usage: %s", c.UseLine())
			}
			name := args[len(args)-1]
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			list, err := se.find(name)
			if err != nil {
				return err
			}
			d := description{Name: name}
			for _, v := range list {
				d.Nodes = append(d.Nodes, v.Nodes...)
			}
			if ct, err := se.contract(c.Context(), name); err == nil {
				d.Endpoints = describeEndpoints(ct)
			} else if _, werr := fmt.Fprintln(a.env.Stderr, "cleave: "+message(err)); werr != nil {
				return werr
			}
			if se.s.Output == "json" {
				return a.json(d)
			}
			return a.table(d)
		},
	}
}

type description struct {
	Name      string           `json:"name"`
	Nodes     []*registry.Node `json:"nodes"`
	Endpoints []endpoint       `json:"endpoints"`
}

type endpoint struct {
	Name     string            `json:"name"`
	HTTP     []string          `json:"http,omitempty"`
	Request  map[string]string `json:"request"`
	Response string            `json:"response"`
	Stream   bool              `json:"stream,omitempty"`
}

func describeEndpoints(ct *schema.Contract) []endpoint {
	var out []endpoint
	for _, sd := range ct.Services {
		for i := range sd.Methods().Len() {
			md := sd.Methods().Get(i)
			e := endpoint{Name: endpointOf(md), Request: map[string]string{}, Response: string(md.Output().FullName()), Stream: md.IsStreamingServer()}
			for _, r := range schema.Rules(md) {
				e.HTTP = append(e.HTTP, rule(r))
			}
			for j := range md.Input().Fields().Len() {
				fd := md.Input().Fields().Get(j)
				e.Request[fd.JSONName()] = typeOf(fd)
			}
			out = append(out, e)
		}
	}
	return out
}

func rule(r *annotations.HttpRule) string {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET " + p.Get
	case *annotations.HttpRule_Put:
		return "PUT " + p.Put
	case *annotations.HttpRule_Post:
		return "POST " + p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE " + p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH " + p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind() + " " + p.Custom.GetPath()
	}
	return ""
}

func typeOf(fd protoreflect.FieldDescriptor) string {
	name := fd.Kind().String()
	switch {
	case fd.IsMap():
		return "map of " + typeOf(fd.MapValue())
	case fd.Message() != nil:
		name = string(fd.Message().FullName())
	case fd.Enum() != nil:
		name = string(fd.Enum().FullName())
	}
	if fd.IsList() {
		return "list of " + name
	}
	return name
}

func (a *app) table(d description) error {
	w := tabwriter.NewWriter(a.env.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%s\n\nINSTANCE\tADDRESS\tVERSION\tPROTOCOL\tHOST\tSTARTED\n", d.Name) // Flush has the error
	for _, n := range d.Nodes {
		m := n.Metadata
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Id, n.Address, m["version"], m["protocol"], m["host"], m["started"])
	}
	_, _ = fmt.Fprint(w, "\nENDPOINT\tHTTP\tREQUEST\n")
	for _, e := range d.Endpoints {
		fields := make([]string, 0, len(e.Request))
		for f := range e.Request {
			fields = append(fields, f)
		}
		slices.Sort(fields)
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, strings.Join(e.HTTP, ", "), strings.Join(fields, ", "))
	}
	return w.Flush()
}

func (a *app) json(v any) error {
	e := json.NewEncoder(a.env.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
