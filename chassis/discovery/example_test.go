package discovery_test

import (
	"fmt"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/discovery"
)

// A process finds what it registered itself at once, and other processes on the machine find it too.
func ExampleNewMDNS() {
	r, err := discovery.NewMDNS(discovery.MDNSConfig{Domain: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()

	err = r.Register(&registry.Service{
		Name: "catalog", Version: "1.0.0",
		Nodes: []*registry.Node{{Id: "catalog-1", Address: "127.0.0.1:4001"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	services, err := r.GetService("catalog")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(services[0].Name, services[0].Version, services[0].Nodes[0].Address)
	// Output: catalog 1.0.0 127.0.0.1:4001
}

// Any go-micro v4 service can take the registry as it is: micro.NewService(micro.Registry(r)).
func ExampleNewConsul() {
	r, err := discovery.NewConsul(discovery.ConsulConfig{Address: "127.0.0.1:8500"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.String())
	// Output: consul
}
