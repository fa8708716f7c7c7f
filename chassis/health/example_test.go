package health_test

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/health"
)

func Example() {
	var p health.Process
	stop := p.Watch(health.Dependency{
		Name: "database", Of: "cart", Criticality: health.Critical, Check: func(context.Context) error { return nil }, // db.PingContext
		Changed: func(up bool) { fmt.Println("up:", up) }, // server.SetReady
	})
	defer stop()
	p.Started()
	ready, report := p.Ready()
	fmt.Println(ready, report.Status, report.Dependencies[0].Name)
	// Output: true ok database
}
