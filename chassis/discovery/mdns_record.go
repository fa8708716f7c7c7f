package discovery

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"go-micro.dev/v4/registry"
)

// recordTTL is how long records live, in seconds: RFC 6762, section 10. 0 says goodbye.
const recordTTL = 120

// listName is the service under which go-micro announces the names of services.
const listName = "_services"

// record is one registered node, ready to be announced.
type record struct {
	service  string
	instance instance
	txt      []string
	host     string // name of the SRV target
	ip       net.IP
	port     uint16
}

func newRecord(s *registry.Service, n *registry.Node, host string) (*record, error) {
	addr, portText, err := net.SplitHostPort(n.Address)
	if err != nil {
		return nil, fmt.Errorf("split address %q: %w", n.Address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("address %q has no port", n.Address)
	}
	ip := net.ParseIP(addr)
	if ip == nil {
		ips, err := net.LookupIP(addr) //nolint:noctx // go-micro's Register has no context
		if err != nil {
			return nil, fmt.Errorf("resolve address %q: %w", n.Address, err)
		}
		ip = ips[0]
	}
	txt, err := encodeTXT(payload{Metadata: n.Metadata, Service: s.Name, Version: s.Version, Endpoints: s.Endpoints})
	if err != nil {
		return nil, err
	}
	node := *n
	node.Metadata = maps.Clone(n.Metadata)
	return &record{
		service: s.Name, instance: instance{version: s.Version, endpoints: s.Endpoints, node: &node},
		txt: txt, host: host, ip: ip, port: uint16(port),
	}, nil
}

// check refuses names that DNS does not carry or brings back otherwise: others would take them for different ones.
func (r *record) check(domain string) error {
	b, err := announcement(r, domain, recordTTL).Pack()
	if err != nil {
		return err
	}
	var back dns.Msg
	if err := back.Unpack(b); err != nil {
		return err
	}
	want := r.instance.node.Id + "." + r.service + "." + domain + "."
	if got := parseAnswer(&back, domain); len(got) != 1 || got[0].name != want {
		return fmt.Errorf("%q is no name for DNS", want)
	}
	return nil
}

// private records name an address that means something on this machine only, so they never leave it.
func (r *record) private() bool { return r.ip.IsLoopback() }

// answer builds the records of one instance, PTR first, in the order go-micro's client reads them.
func (r *record) answer(domain string, ttl uint32) []dns.RR {
	service := r.service + "." + domain + "."
	name := r.instance.node.Id + "." + service
	return instanceRecords(service, name, r.host, r.ip, r.port, r.txt, ttl)
}

// listAnswer builds the answer that says a service name exists. go-micro's client wants it to look like an instance.
func listAnswer(service, domain, host string) []dns.RR {
	list := listName + "." + domain + "."
	return instanceRecords(list, service+"."+list, host, net.IPv4zero, 9999, nil, recordTTL)
}

func instanceRecords(service, name, host string, ip net.IP, port uint16, txt []string, ttl uint32) []dns.RR {
	head := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	}
	out := []dns.RR{
		&dns.PTR{Hdr: head(service, dns.TypePTR), Ptr: name},
		&dns.SRV{Hdr: head(name, dns.TypeSRV), Priority: 10, Weight: 1, Port: port, Target: host},
	}
	if v4 := ip.To4(); v4 != nil {
		out = append(out, &dns.A{Hdr: head(host, dns.TypeA), A: v4})
	} else {
		out = append(out, &dns.AAAA{Hdr: head(host, dns.TypeAAAA), AAAA: ip})
	}
	return append(out, &dns.TXT{Hdr: head(name, dns.TypeTXT), Txt: txt})
}

// found is one instance, or one name of a service, in somebody's answer.
type found struct {
	name    string // full name of the instance
	txt     []string
	address string
	ip      net.IP
	gone    bool
}

// parseAnswer finds the instances of domain in a message.
func parseAnswer(m *dns.Msg, domain string) []found {
	suffix := "." + domain + "."
	ips := make(map[string]net.IP)
	texts := make(map[string][]string)
	var services []*dns.SRV
	for _, list := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range list {
			switch rr := rr.(type) {
			case *dns.A:
				ips[rr.Hdr.Name] = rr.A
			case *dns.AAAA:
				if ips[rr.Hdr.Name] == nil {
					ips[rr.Hdr.Name] = rr.AAAA
				}
			case *dns.TXT:
				texts[rr.Hdr.Name] = rr.Txt
			case *dns.SRV:
				if strings.HasSuffix(rr.Hdr.Name, suffix) {
					services = append(services, rr)
				}
			}
		}
	}
	var out []found
	for _, srv := range services {
		ip := ips[srv.Target]
		txt, ok := texts[srv.Hdr.Name]
		if ip == nil || !ok {
			continue
		}
		out = append(out, found{
			name: srv.Hdr.Name, txt: txt, ip: ip, gone: srv.Hdr.Ttl == 0,
			address: net.JoinHostPort(ip.String(), strconv.Itoa(int(srv.Port))),
		})
	}
	return out
}
