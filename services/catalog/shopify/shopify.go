// Package shopify reads a shop's product export in the Shopify product CSV format, and imports it.
//
// The format, https://help.shopify.com/en/manual/products/import-export/using-csv: one row a variant or picture, the rows of a product one
// after the other under one handle, the product's own columns in the first of them. Columns are found by name, in any order, in the names
// of the old format ("Variant Price") and of the new one ("Price"); those that the shop has no use for are passed over. A byte order mark,
// Windows line ends and line breaks in quotes are read as they should be.
//
// A row that is wrong is told with its line, and leaves out its product; the rest goes on. The file is read as a stream: what is in memory
// is one product, and what is on its way to the catalogue.
//
// Limits: a record 1 MiB, a product 2,048 variants and 250 pictures.
package shopify

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// Item is one product of the file.
type Item struct {
	// Line of its first row, from 1.
	Line int
	// Rows it has.
	Rows    int
	Product *catalogv1.Product
	// CategoryTitle is what the category, which Product names by its slug, is called; empty when it lies in none.
	CategoryTitle string
	// Stock is what is on hand of the variants whose stock the shop keeps.
	Stock []Count
}

// Count is what is on hand of a SKU.
type Count struct {
	SKU    string
	OnHand int64
}

// BadRow says why a row, and with it its product, can't be imported.
type BadRow struct {
	// Line in the file, from 1.
	Line int `json:"line"`
	// Handle of the product, when the row has one.
	Handle string `json:"handle,omitempty"`
	// Reason is for a person.
	Reason string `json:"reason"`
}

// Error implements error.
func (b *BadRow) Error() string {
	if b.Handle == "" {
		return fmt.Sprintf("line %d: %s", b.Line, b.Reason)
	}
	return fmt.Sprintf("line %d (%s): %s", b.Line, b.Handle, b.Reason)
}

//go:embed sample.csv
var sample string

// Sample returns the export of a small shop that sells what a good week needs.
func Sample() io.Reader { return strings.NewReader(sample) }
