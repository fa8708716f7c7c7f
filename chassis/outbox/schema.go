package outbox

import (
	"embed"

	"github.com/cleavehq/cleave/chassis/data"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema returns the tables of this package and of package lease, for data.Config.Schemas.
func Schema() data.Schema { return data.Schema{Name: "outbox", Files: migrations} }
