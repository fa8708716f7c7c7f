package discovery

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/miekg/dns"
	"go-micro.dev/v4/registry"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	conf := ConsulConfig{CheckInterval: time.Second, CheckTimeout: 2 * time.Second, Reap: time.Minute}
	base := api.AgentServiceCheck{
		CheckID: "check:catalog-1", Interval: "1s", Timeout: "2s", Status: "passing", FailuresBeforeCritical: 2,
		DeregisterCriticalServiceAfter: "1m0s",
	}
	for meta, change := range map[string]func(*api.AgentServiceCheck){
		"": func(c *api.AgentServiceCheck) {
			c.GRPC, c.Name = "127.0.0.1:1", "gRPC health of catalog at 127.0.0.1:1"
		},
		"grpc": func(c *api.AgentServiceCheck) {
			c.GRPC, c.Name = "127.0.0.1:1", "gRPC health of catalog at 127.0.0.1:1"
		},
		"grpc:a.B": func(c *api.AgentServiceCheck) {
			c.GRPC, c.Name = "127.0.0.1:1/a.B", "gRPC health of catalog at 127.0.0.1:1"
		},
		"http:/up": func(c *api.AgentServiceCheck) {
			c.HTTP, c.Name = "http://127.0.0.1:1/up", "GET /up of catalog at 127.0.0.1:1"
		},
		"http:": func(c *api.AgentServiceCheck) {
			c.HTTP, c.Name = "http://127.0.0.1:1/", "GET / of catalog at 127.0.0.1:1"
		},
		"tcp": func(c *api.AgentServiceCheck) {
			c.TCP, c.Name = "127.0.0.1:1", "TCP connection to catalog at 127.0.0.1:1"
		},
	} {
		want := base
		change(&want)
		n := &registry.Node{Id: "catalog-1", Address: "127.0.0.1:1", Metadata: map[string]string{"check": meta}}
		if got, err := encodeCheck("catalog", n, conf); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("check=%q\n got %+v, %v\nwant %+v", meta, got, err, want)
		}
	}
	secured := &registry.Node{Address: "127.0.0.1:1", Metadata: map[string]string{"tls": "1"}}
	if got, err := encodeCheck("catalog", secured, conf); err != nil || !got.GRPCUseTLS || !got.TLSSkipVerify {
		t.Errorf("tls=1: %+v, %v", got, err)
	}
	none := &registry.Node{Address: "127.0.0.1:1", Metadata: map[string]string{"check": "none"}}
	if got, err := encodeCheck("catalog", none, conf); err != nil || got != nil {
		t.Errorf("check=none: %v, %v", got, err)
	}
}

// Whatever the metadata is, Consul gets nothing it refuses, and it all comes back.
func TestConsulMetaRoundTrip(t *testing.T) {
	keys := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z_-]{1,140}`), rapid.SampledFrom([]string{
		"version", "endpoints", "endpoints-2", "more", "more-2", "consul-x", "module", "schema", "check",
	}))
	rapid.Check(t, func(t *rapid.T) {
		s := &registry.Service{Name: "catalog", Version: rapid.StringN(0, 60, 200).Draw(t, "version")}
		for _, name := range rapid.SliceOfDistinct(rapid.StringMatching(`[A-Z][a-z]{1,30}\.[A-Z][a-z]{1,30}`), rapid.ID).Draw(t, "endpoints") {
			meta := map[string]string{}
			if rapid.Bool().Draw(t, "stream") {
				meta["stream"] = "true"
			}
			s.Endpoints = append(s.Endpoints, &registry.Endpoint{Name: name, Metadata: meta})
		}
		n := &registry.Node{Id: "1", Address: "127.0.0.1:1", Metadata: rapid.MapOf(keys, rapid.String()).Draw(t, "metadata")}
		meta, err := encodeMeta(s, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(meta) > maxPairs {
			t.Fatalf("%d pairs", len(meta))
		}
		for k, v := range meta {
			if !plain(k) || len(v) > maxValue {
				t.Fatalf("Consul would refuse %q = %q", k, v)
			}
		}
		got := decodeEntry(&api.ServiceEntry{Node: &api.Node{}, Service: &api.AgentService{ID: "1", Address: "127.0.0.1", Port: 1, Meta: meta}})
		want := maps.Clone(n.Metadata)
		if _, ok := want[keyVersion]; !ok {
			want[keyVersion] = s.Version // the one pair more
		}
		if !maps.Equal(got.node.Metadata, want) {
			t.Fatalf("metadata\n got %q\nwant %q", got.node.Metadata, want)
		}
		if got.version != s.Version || !reflect.DeepEqual(got.endpoints, s.Endpoints) {
			t.Fatalf("version %q, endpoints %v", got.version, got.endpoints)
		}
	})
}

// A record that is too long loses values and keeps every name, down to names alone.
func TestLongRecords(t *testing.T) {
	service := func(endpoints, fields, note int) payload {
		p := payload{Service: "catalog", Version: "1.0.0", Metadata: map[string]string{"module": "catalog"}}
		for i := range endpoints {
			v := &registry.Value{Name: fmt.Sprintf("Request%d", i*7919), Type: "Request"}
			for j := range fields {
				v.Values = append(v.Values, &registry.Value{Name: fmt.Sprintf("field_%x", i*7919+j*104729), Type: "string"})
			}
			e := &registry.Endpoint{Name: fmt.Sprintf("Catalog.Do%d", i), Request: v, Response: v, Metadata: map[string]string{}}
			for j := range note {
				e.Metadata[fmt.Sprintf("note_%x", i*7919+j*104729)] = "stays as long as it can"
			}
			p.Endpoints = append(p.Endpoints, e)
		}
		return p
	}
	for name, tc := range map[string]struct {
		in             payload
		fields, values bool
		notes          bool
	}{
		"short":          {service(10, 10, 0), true, true, true},
		"many fields":    {service(10, 1000, 0), false, true, true},
		"many endpoints": {service(500, 3, 0), false, false, false},
		"long notes":     {service(20, 3, 100), false, false, false},
	} {
		txt, err := encodeTXT(tc.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := decodeTXT(txt)
		if err != nil || len(got.Endpoints) != len(tc.in.Endpoints) {
			t.Errorf("%s: %d endpoints of %d, %v", name, len(got.Endpoints), len(tc.in.Endpoints), err)
			continue
		}
		for i, e := range got.Endpoints {
			if e.Name != tc.in.Endpoints[i].Name {
				t.Errorf("%s: endpoint %d is %s", name, i, e.Name)
			}
			if (e.Request != nil) != tc.values || (e.Request != nil && len(e.Request.Values) > 0) != tc.fields || (e.Metadata != nil) != tc.notes {
				t.Errorf("%s: endpoint %s has request %v and metadata %v", name, e.Name, e.Request, e.Metadata)
				break
			}
		}
	}
	if _, err := encodeTXT(service(5000, 0, 0)); err == nil {
		t.Error("a record of 5000 endpoints was taken")
	}
}

// What decodes says the same when it is encoded again.
func FuzzDecodeTXT(f *testing.F) {
	text, err := packTXT(payload{Service: "catalog", Version: "1.0.0", Metadata: map[string]string{"a": "b"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add("")
	f.Add("zz")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := decodeTXT(split(text, 255))
		if err != nil {
			return
		}
		again, err := packTXT(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := decodeTXT(split(again, 255)); err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("%+v came back as %+v, %v", p, q, err)
		}
	})
}

// Any packet from the network leaves the registry sane, and what is its own untouched.
func FuzzHear(f *testing.F) {
	m, err := NewMDNS(MDNSConfig{Domain: "fuzz"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = m.Close() })
	own := &registry.Service{Name: "own", Version: "1", Nodes: []*registry.Node{{Id: "own-1", Address: "127.0.0.1:1"}}}
	if err := m.Register(own); err != nil {
		f.Fatal(err)
	}
	if _, err := m.ListServices(); err != nil {
		f.Fatal(err)
	}
	record := func(name, address string, ttl uint32) []byte {
		r, err := newRecord(&registry.Service{Name: name, Version: "1"}, &registry.Node{Id: name + "-1", Address: address}, "host.")
		if err != nil {
			f.Fatal(err)
		}
		b, err := announcement(r, "fuzz", ttl).Pack()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	question := new(dns.Msg)
	question.SetQuestion("own.fuzz.", dns.TypePTR)
	packed, err := question.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(record("other", "127.0.0.1:2", recordTTL))
	f.Add(record("other", "[::1]:2", 0))
	f.Add(record("own", "127.0.0.1:3", recordTTL))
	f.Add(record("own", "127.0.0.1:3", 0))
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	f.Fuzz(func(t *testing.T, b []byte) {
		var msg dns.Msg
		if msg.Unpack(b) != nil {
			return
		}
		m.hear(&msg, from)
		got, err := m.board.get("own")
		if err != nil || !slices.ContainsFunc(got, func(s *registry.Service) bool {
			return slices.ContainsFunc(s.Nodes, func(n *registry.Node) bool { return n.Id == "own-1" && n.Address == "127.0.0.1:1" })
		}) {
			t.Errorf("own is %v, %v", got, err)
		}
	})
}

func TestLocate(t *testing.T) {
	if locate(net.IPv4(127, 0, 0, 1)) != here || locate(net.ParseIP("::1")) != here {
		t.Error("a loopback address isn't here")
	}
	if at := locate(net.IPv4(203, 0, 113, 7)); at != far { // kept for documentation: RFC 5737
		t.Errorf("an address that nobody has is %d", at)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() {
			continue
		}
		if at := locate(n.IP); at != here {
			t.Errorf("our own %s is %d", n.IP, at)
		}
		if ones, bits := n.Mask.Size(); bits-ones < 2 {
			continue
		}
		other := slices.Clone(n.IP.To4())
		other[3] ^= 1
		if at := locate(other); at != near {
			t.Errorf("the neighbour %s of %s is %d", other, a, at)
		}
	}
}

func TestNamesForDNS(t *testing.T) {
	r, err := NewMDNS(MDNSConfig{Domain: "names"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	for _, id := range []string{"", "a b", "a..b", `a\b`, "a;b", "ü", strings.Repeat("a", 64), "a\x00b"} {
		s := &registry.Service{Name: "catalog", Nodes: []*registry.Node{{Id: id, Address: "127.0.0.1:1"}}}
		if err := r.Register(s); err == nil {
			t.Errorf("id %q was taken", id)
		}
	}
	for _, id := range []string{"a", "catalog-1.2", "A_b", strings.Repeat("a", 63)} {
		s := &registry.Service{Name: "catalog", Nodes: []*registry.Node{{Id: id, Address: "127.0.0.1:1"}}}
		if err := r.Register(s); err != nil {
			t.Error(err)
		}
	}
}
