package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	"github.com/cleavehq/cleave/services/catalog/shopify"
)

func (a *app) shop() *cobra.Command {
	shop := &cobra.Command{
		Use: "shop", Short: "Work with the shop's data", GroupID: "speak", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var sample bool
	currency := "EUR"
	imp := &cobra.Command{
		Use: "import FILE", Short: "Load a product export in the Shopify CSV format", Args: exactly(cobra.MaximumNArgs(1)),
		Long: `import reads a product export in the Shopify CSV format from FILE, or from stdin for -, into a running shop: it creates or replaces
products by handle, and sets the stock of their variants. It can be run again: what hasn't changed stays. A row that can't be
imported is told with its line, and the rest goes on; then the exit code is 1.`,
		Example: "  cleave shop import products_export.csv --currency USD\n  cleave shop import --sample --registry consul",
		RunE: func(c *cobra.Command, args []string) (err error) {
			var in io.Reader
			switch {
			case sample && len(args) == 0:
				in = shopify.Sample()
			case sample, len(args) == 0:
				return usagef("give a FILE or --sample, one of them")
			case args[0] == "-":
				in = a.env.Stdin
			default:
				f, err := os.Open(args[0])
				if err != nil {
					return usagef("%w", err)
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			return a.importShop(c, se, in, currency)
		},
	}
	imp.Flags().BoolVar(&sample, "sample", false, "load the sample shop that comes with Cleave")
	imp.Flags().StringVar(&currency, "currency", currency, "currency of the prices, which the format doesn't say")
	shop.AddCommand(imp)
	return shop
}

func (a *app) importShop(c *cobra.Command, se *session, in io.Reader, currency string) error {
	as, err := se.identity(c.Context())
	if err != nil {
		return err
	}
	cl, err := se.client(rpc.ClientConfig{Registry: se.reg, Log: se.log}, as)
	if err != nil {
		return err
	}
	p := newProgress(a.env.Stderr, time.Now)
	sum, err := shopify.Import(c.Context(), shopify.Config{
		Catalog: catalogv1.NewCatalogService("catalog", cl), Inventory: inventoryv1.NewInventoryService("inventory", cl),
		Source: in, Currency: currency, Progress: p.update, OnBadRow: p.bad,
	})
	p.end()
	if se.s.Output == "json" {
		err = errors.Join(err, a.json(sum))
	} else {
		_, werr := fmt.Fprintf(a.env.Stdout, "%d rows, %d products: %d created, %d updated, %d unchanged; stock of %d variants set; %d bad rows\n",
			sum.Rows, sum.Products, sum.Created, sum.Updated, sum.Unchanged, sum.StockSet, sum.BadRows)
		err = errors.Join(err, werr)
	}
	if err != nil {
		return err
	}
	if sum.BadRows > 0 {
		return fmt.Errorf("%d rows were not imported", sum.BadRows)
	}
	return nil
}

// progress tells how far an import is: on a terminal in one line that is written again and again, else now and then.
type progress struct {
	w        io.Writer
	now      func() time.Time
	terminal bool
	begun    time.Time
	last     time.Time
	open     bool // a line has been written that hasn't ended
}

func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now, begun: now(), last: now()}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

func (p *progress) update(s shopify.Summary) {
	pause := 5 * time.Second
	if p.terminal {
		pause = 100 * time.Millisecond
	}
	now := p.now()
	if now.Sub(p.last) < pause {
		return
	}
	p.last = now
	perSecond := int64(s.Rows) * int64(time.Second) / max(int64(now.Sub(p.begun)), 1)
	line := fmt.Sprintf("%d rows, %d products, %d bad rows, %d rows/s", s.Rows, s.Products, s.BadRows, perSecond)
	if p.terminal {
		p.open = true
		_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	_, _ = fmt.Fprintln(p.w, line)
}

func (p *progress) bad(b shopify.BadRow) {
	p.end()
	_, _ = fmt.Fprintln(p.w, b.Error())
}

// end ends the line that is being written.
func (p *progress) end() {
	if p.open {
		_, _ = fmt.Fprintln(p.w)
	}
	p.open = false
}
