package shopify

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

// builder makes a product of its rows.
type builder struct {
	currency currencyUnit
	item     Item
	options  [3]string // their names, from the first row
	bad      *BadRow   // the first thing that was wrong
}

func (b *builder) fail(bad *BadRow) {
	if b.bad == nil {
		b.bad = bad
	}
}

// first takes what only a product's first row says.
func (b *builder) first(r row) {
	p := &catalogv1.Product{
		Handle: strings.ToLower(r.get(colHandle)), Title: r.get(colTitle), DescriptionHtml: r.get(colBody), Vendor: r.get(colVendor),
		Status: status(r), Category: slug(r.get(colType)),
	}
	if p.GetTitle() == "" {
		b.fail(r.bad("the first row of a product needs a title; the rows of a product must follow each other"))
	}
	if p.GetCategory() != "" {
		b.item.CategoryTitle = r.get(colType)
	}
	if !known(r.get(colStatus)) {
		b.fail(r.bad("status %q is none of active, draft, archived", r.get(colStatus)))
	}
	seen := map[string]bool{}
	for tag := range strings.SplitSeq(r.get(colTags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" && !seen[tag] {
			seen[tag] = true
			p.Tags = append(p.Tags, tag)
		}
	}
	b.options = [3]string{r.get(colOption1Name), r.get(colOption2Name), r.get(colOption3Name)}
	b.item.Product = p
}

// add takes the variant and the picture of a row.
func (b *builder) add(r row) {
	b.item.Rows++
	for _, f := range r.fields {
		if !utf8.ValidString(f) {
			b.fail(r.bad("the row is not UTF-8"))
			return
		}
	}
	if b.item.Rows > maxVariants+maxImages {
		b.fail(r.bad("a product has at most %d rows", maxVariants+maxImages))
		return
	}
	b.image(r)
	if r.get(colPrice) != "" || r.get(colOption1Value) != "" || r.get(colSKU) != "" {
		b.variant(r)
	}
}

func (b *builder) image(r row) {
	src := r.get(colImage)
	if src == "" {
		return
	}
	for _, have := range b.item.Product.GetImages() {
		if have.GetSrc() == src {
			return
		}
	}
	if len(b.item.Product.GetImages()) == maxImages {
		b.fail(r.bad("a product has at most %d pictures", maxImages))
		return
	}
	b.item.Product.Images = append(b.item.Product.Images, &catalogv1.Image{Src: src, Alt: r.get(colImageAlt)})
}

func (b *builder) variant(r row) {
	p := b.item.Product
	minor, err := b.currency.parse(r.get(colPrice))
	if err != nil {
		b.fail(r.bad("price: %v", err))
	}
	grams, err := count(r.get(colGrams))
	if err != nil {
		b.fail(r.bad("grams: %v", err))
	}
	v := &catalogv1.Variant{
		Sku: sku(r.get(colSKU)), Barcode: strings.TrimPrefix(r.get(colBarcode), "'"), Grams: max(grams, 0),
		Price: &typev1.Money{Currency: b.currency.code, Minor: minor},
	}
	var title []string
	for i, c := range []column{colOption1Value, colOption2Value, colOption3Value} {
		value, name := r.get(c), b.options[i]
		if value == "" || name == "" || name == "Title" && value == "Default Title" { // so Shopify calls the only variant
			continue
		}
		v.Options = append(v.Options, &catalogv1.Option{Name: name, Value: value})
		title = append(title, value)
	}
	v.Title = strings.Join(title, " / ")
	if v.GetSku() == "" { // a shop need not use SKUs; the rest of us does
		v.Sku = p.GetHandle()
		if n := len(p.GetVariants()); n > 0 {
			v.Sku += "-" + strconv.Itoa(n+1)
		}
	}
	if len(p.GetVariants()) == maxVariants {
		b.fail(r.bad("a product has at most %d variants", maxVariants))
		return
	}
	p.Variants = append(p.Variants, v)

	if text := r.get(colQuantity); text != "" {
		n, err := count(text)
		if err != nil {
			b.fail(r.bad("inventory quantity: %v", err))
		}
		b.item.Stock = append(b.item.Stock, Count{SKU: v.GetSku(), OnHand: max(n, 0)}) // less than none: sold before it came
	}
}

func (b *builder) done() (*Item, error) {
	if b.bad == nil && len(b.item.Product.GetVariants()) == 0 {
		b.bad = &BadRow{Line: b.item.Line, Handle: b.item.Product.GetHandle(), Reason: "the product has no row with a price"}
	}
	if b.bad != nil {
		return nil, b.bad
	}
	return &b.item, nil
}

func known(s string) bool {
	switch strings.ToLower(s) {
	case "", "active", "draft", "archived":
		return true
	}
	return false
}

func status(r row) catalogv1.ProductStatus {
	switch s := strings.ToLower(r.get(colStatus)); {
	case s == "archived":
		return catalogv1.ProductStatus_PRODUCT_STATUS_ARCHIVED
	case s == "draft", s == "" && strings.EqualFold(r.get(colPublished), "false"):
		return catalogv1.ProductStatus_PRODUCT_STATUS_DRAFT
	default:
		return catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE
	}
}

// sku takes off the apostrophe that spreadsheets put before a number, and replaces what a SKU may not hold.
func sku(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("/?#%", r) {
			return '-'
		}
		return r
	}, strings.TrimPrefix(s, "'"))
}

// slug makes "home-kitchen" of "Home & Kitchen"; "" when no letter or digit of ASCII is left.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// count parses a whole number; Shopify writes "200.0" too.
func count(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 32)
	if err != nil || strings.Trim(fraction, "0") != "" {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}
