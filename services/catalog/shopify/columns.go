package shopify

import (
	"fmt"
	"strings"
)

// column is a column that is looked at.
type column int

const (
	colHandle column = iota
	colTitle
	colBody
	colVendor
	colType
	colTags
	colPublished
	colOption1Name
	colOption1Value
	colOption2Name
	colOption2Value
	colOption3Name
	colOption3Value
	colSKU
	colGrams
	colQuantity
	colPrice
	colBarcode
	colImage
	colImageAlt
	colStatus
	columns
)

// names of a column: in the old format, then in the new one. They are compared without regard to case.
func names(c column) []string {
	switch c {
	case colHandle:
		return []string{"handle", "url handle"}
	case colTitle:
		return []string{"title"}
	case colBody:
		return []string{"body (html)", "body html", "description"}
	case colVendor:
		return []string{"vendor"}
	case colType:
		return []string{"type"}
	case colTags:
		return []string{"tags"}
	case colPublished:
		return []string{"published", "published on online store"}
	case colOption1Name:
		return []string{"option1 name"}
	case colOption1Value:
		return []string{"option1 value"}
	case colOption2Name:
		return []string{"option2 name"}
	case colOption2Value:
		return []string{"option2 value"}
	case colOption3Name:
		return []string{"option3 name"}
	case colOption3Value:
		return []string{"option3 value"}
	case colSKU:
		return []string{"variant sku", "sku"}
	case colGrams:
		return []string{"variant grams", "weight value (grams)"}
	case colQuantity:
		return []string{"variant inventory qty", "inventory quantity"}
	case colPrice:
		return []string{"variant price", "price"}
	case colBarcode:
		return []string{"variant barcode", "barcode"}
	case colImage:
		return []string{"image src", "product image url"}
	case colImageAlt:
		return []string{"image alt text"}
	case colStatus:
		return []string{"status"}
	case columns:
	}
	return nil
}

// header says where each column is; -1 for one that the file lacks.
type header [columns]int

func parseHeader(record []string) (header, error) {
	var h header
	for c := range columns {
		h[c] = -1
		for i, name := range record {
			name = strings.ToLower(strings.TrimSpace(name))
			for _, want := range names(c) {
				if name != want {
					continue
				}
				if h[c] >= 0 {
					return h, fmt.Errorf("the header has the column %q twice", want)
				}
				h[c] = i
			}
		}
	}
	for _, c := range []column{colHandle, colTitle, colPrice} {
		if h[c] < 0 {
			return h, fmt.Errorf("the header has no column %q: is this a product export in Shopify's format?", names(c)[0])
		}
	}
	return h, nil
}

// row is a record, by column.
type row struct {
	header header
	fields []string
	line   int
}

func (r row) get(c column) string {
	i := r.header[c]
	if i < 0 || i >= len(r.fields) {
		return ""
	}
	return strings.TrimSpace(r.fields[i])
}

func (r row) bad(reason string, args ...any) *BadRow {
	return &BadRow{Line: r.line, Handle: r.get(colHandle), Reason: fmt.Sprintf(reason, args...)}
}
