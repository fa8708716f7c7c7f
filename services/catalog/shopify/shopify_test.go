package shopify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"go-micro.dev/v4/client"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
)

// readAll reads a file, in euros, to its end.
func readAll(t *testing.T, file string) (items []*Item, bad []BadRow) {
	t.Helper()
	r, err := NewReader(strings.NewReader(file), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	for {
		item, err := r.Next()
		var b *BadRow
		switch {
		case errors.Is(err, io.EOF):
			return items, bad
		case errors.As(err, &b):
			bad = append(bad, *b)
		case err != nil:
			t.Fatal(err)
		default:
			items = append(items, item)
		}
	}
}

func TestVariantsPicturesAndWindows(t *testing.T) {
	file := "\ufeffTitle,handle,Unknown,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Image Alt Text,Variant Inventory Qty,Tags,Type\r\n" +
		"Shirt,shirt,x,\"<p>One\r\n\"\"two\"\"</p>\",Size,S,'001,19.90,https://e.com/1.jpg,front,3,\"new, , sale,new\",Clothes & more\r\n" +
		",shirt,,,,M,S M/1,20,https://e.com/2.jpg,,-2,,\r\n" +
		",shirt,,,,,,,https://e.com/3.jpg,,,,\r\n" +
		"Mug,mug,,,Title,Default Title,,7.5,,,,,\r\n"
	items, bad := readAll(t, file)
	if len(bad) != 0 || len(items) != 2 {
		t.Fatalf("%d items, bad %v", len(items), bad)
	}
	p := items[0].Product
	if p.GetDescriptionHtml() != "<p>One\n\"two\"</p>" || strings.Join(p.GetTags(), "|") != "new|sale" || p.GetCategory() != "clothes-more" ||
		len(p.GetImages()) != 3 || p.GetImages()[0].GetAlt() != "front" || p.GetStatus() != catalogv1.ProductStatus_PRODUCT_STATUS_ACTIVE {
		t.Errorf("product %v", p)
	}
	v := p.GetVariants()
	if len(v) != 2 || v[0].GetSku() != "001" || v[0].GetPrice().GetMinor() != 1990 || v[1].GetSku() != "S-M-1" ||
		v[1].GetPrice().GetMinor() != 2000 || v[1].GetTitle() != "M" || v[1].GetOptions()[0].GetName() != "Size" {
		t.Errorf("variants %v", v)
	}
	if fmt.Sprint(items[0].Stock) != "[{001 3} {S-M-1 0}]" || items[0].Rows != 3 || items[0].Line != 2 {
		t.Errorf("item %+v", items[0])
	}
	if m := items[1]; m.Product.GetVariants()[0].GetSku() != "mug" || len(m.Product.GetVariants()[0].GetOptions()) != 0 || len(m.Stock) != 0 || m.Line != 6 {
		t.Errorf("item %+v", m)
	}
}

func TestBadRowsAreToldAndTheRestGoesOn(t *testing.T) {
	file := `Handle,Title,Variant Price,Status,Variant Inventory Qty
good,Good,1.00,active,1
,No handle,1.00,,
untitled,,1.00,,
dear,Dear,1.005,,
letters,Letters,abc,,
sold,Sold,1.00,sold,
many,Many,1.00,,1.5
quote,Qu"ote,1.00,,
noprice,No price,,,
fine,Fine,2.00,,2
fine,,3.00,,
`
	items, bad := readAll(t, file)
	if len(items) != 2 || items[0].Product.GetHandle() != "good" || len(items[1].Product.GetVariants()) != 2 {
		t.Errorf("items %v", items)
	}
	var lines []int
	for _, b := range bad {
		lines = append(lines, b.Line)
		if b.Reason == "" || !strings.Contains(b.Error(), fmt.Sprint("line ", b.Line)) {
			t.Errorf("%+v", b)
		}
	}
	if fmt.Sprint(lines) != "[3 4 5 6 7 8 9 10]" {
		t.Errorf("bad rows %v", bad)
	}
}

func TestFilesThatAreNotExports(t *testing.T) {
	for file, reason := range map[string]string{
		"": "empty", "a,b\n1,2\n": "no column \"handle\"", "Handle,Title\n": "no column \"variant price\"",
		"Handle,Handle,Title,Price\n": "twice", "\"": "header", "\xff\xfe\x00": "no column",
	} {
		if _, err := NewReader(strings.NewReader(file), "EUR"); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, want %q", file, err, reason)
		}
	}
	if _, err := NewReader(strings.NewReader("Handle,Title,Price\n"), "EURO"); err == nil {
		t.Error("EURO is a currency")
	}
}

func TestAnOpenQuoteDoesNotFillTheMemory(t *testing.T) {
	head := "Handle,Title,Price\na,A,1\nb,\"B,1\n"
	r, err := NewReader(io.MultiReader(strings.NewReader(head), &endless{left: 64 << 20}), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.Next(); err == nil { // a is complete only when b has begun
		_, err = r.Next()
	}
	if err == nil || !strings.Contains(err.Error(), "quote") {
		t.Errorf("got %v", err)
	}
	if _, again := r.Next(); again == nil || again.Error() != err.Error() {
		t.Errorf("then %v", again)
	}
}

// endless gives so many bytes of one line.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range n {
		p[i] = 'x'
	}
	e.left -= n
	return n, nil
}

func TestPrices(t *testing.T) {
	for _, tc := range []struct {
		currency, in string
		want         int64
	}{
		{"EUR", "0", 0}, {"EUR", "19.9", 1990}, {"EUR", "19.90", 1990}, {"EUR", "19.9000", 1990}, {"EUR", "0.01", 1}, {"EUR", "10000000000000", maxMinor},
		{"JPY", "1999", 1999}, {"JPY", "1999.00", 1999}, {"BHD", "1.234", 1234},
		{"EUR", "", -1}, {"EUR", "1,50", -1}, {"EUR", "-1", -1}, {"EUR", "+1", -1}, {"EUR", "1e3", -1}, {"EUR", ".5", -1}, {"EUR", "1.2.3", -1},
		{"EUR", "1.001", -1}, {"JPY", "1.5", -1}, {"EUR", "10000000000000.01", -1}, {"EUR", "99999999999999999999999", -1}, {"EUR", "٣", -1}, {"EUR", "NaN", -1},
	} {
		u, err := parseCurrency(tc.currency)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.parse(tc.in)
		if (err != nil) != (tc.want < 0) || err == nil && got != tc.want {
			t.Errorf("%s %q: %d, %v; want %d", tc.currency, tc.in, got, err, tc.want)
		}
	}
}

func TestAPriceComesBack(t *testing.T) {
	u := currencyUnit{code: "EUR", scale: 2}
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, maxMinor).Draw(t, "minor")
		got, err := u.parse(fmt.Sprintf("%d.%02d", minor/100, minor%100))
		if err != nil || got != minor {
			t.Fatalf("%d came back as %d, %v", minor, got, err)
		}
	})
}

func FuzzPrice(f *testing.F) {
	f.Add("19.90", 2)
	f.Add("1e9", 0)
	f.Fuzz(func(t *testing.T, s string, scale int) {
		if got, err := (currencyUnit{code: "X", scale: scale & 3}).parse(s); err == nil && (got < 0 || got > maxMinor) {
			t.Errorf("%q is %d", s, got)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(sample)
	f.Add("Handle,Title,Price\na,A,1\n\"a\",,2\r\n")
	f.Add("\ufeffHandle,Title,Price,Option1 Name,Option1 Value\na,\"A\n\",1,x,y")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := NewReader(strings.NewReader(file), "EUR")
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			item, err := r.Next()
			var bad *BadRow
			switch {
			case errors.As(err, &bad):
				if bad.Line < 1 || bad.Reason == "" {
					t.Fatalf("%+v", bad)
				}
			case err != nil:
				return
			case item.Rows < 1 || len(item.Product.GetVariants()) == 0:
				t.Fatalf("%+v", item)
			}
			if n > len(file) {
				t.Fatal("it doesn't end")
			}
		}
	})
}

// shelf is a catalogue and an inventory that keep what they are sent. One handle is refused.
type shelf struct {
	catalogv1.CatalogService
	inventoryv1.InventoryService
	products   map[string]string
	stock      map[string]int64
	categories map[string]string
	largest    int
}

func (s *shelf) CreateCategory(_ context.Context, in *catalogv1.CreateCategoryRequest, _ ...client.CallOption) (*catalogv1.Category, error) {
	if _, ok := s.categories[in.GetCategory().GetSlug()]; ok {
		return nil, problem.AlreadyExists("SLUG_TAKEN", "taken")
	}
	s.categories[in.GetCategory().GetSlug()] = in.GetCategory().GetTitle()
	return in.GetCategory(), nil
}

func (s *shelf) BatchImportProducts(
	_ context.Context, in *catalogv1.BatchImportProductsRequest, _ ...client.CallOption,
) (*catalogv1.BatchImportProductsResponse, error) {
	out := &catalogv1.BatchImportProductsResponse{}
	s.largest = max(s.largest, len(in.GetProducts()))
	for i, p := range in.GetProducts() {
		before, ok := s.products[p.GetHandle()]
		switch {
		case p.GetHandle() == "refused":
			out.Failures = append(out.Failures, &catalogv1.ImportFailure{Index: int32(i), Handle: p.GetHandle(), Reason: "no"})
			continue
		case !ok:
			out.Created++
		case before == p.String():
			out.Unchanged++
		default:
			out.Updated++
		}
		if s.products != nil && len(s.products) < 1000 {
			s.products[p.GetHandle()] = p.String()
		}
	}
	return out, nil
}

func (s *shelf) BatchSetStock(_ context.Context, in *inventoryv1.BatchSetStockRequest, _ ...client.CallOption) (*inventoryv1.BatchSetStockResponse, error) {
	out := &inventoryv1.BatchSetStockResponse{}
	for _, c := range in.GetStock() {
		if n, ok := s.stock[c.GetSku()]; ok && n == c.GetOnHand() {
			out.Unchanged++
			continue
		}
		out.Changed++
		if len(s.stock) < 1000 {
			s.stock[c.GetSku()] = c.GetOnHand()
		}
	}
	return out, nil
}

func newShelf() *shelf {
	return &shelf{products: map[string]string{}, stock: map[string]int64{}, categories: map[string]string{}}
}

func TestTheSampleImportsTwice(t *testing.T) {
	s := newShelf()
	imp := func() Summary {
		sum, err := Import(t.Context(), Config{
			Catalog: s, Inventory: s, Source: Sample(), Currency: "EUR", OnBadRow: func(b BadRow) { t.Errorf("bad row: %v", &b) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	first := imp()
	if first.Created != first.Products || first.Products < 25 || first.Rows < 45 || first.StockSet < 40 || len(s.categories) < 5 {
		t.Errorf("first %+v with %d categories", first, len(s.categories))
	}
	second := imp()
	if second.Unchanged != first.Products || second.Created+second.Updated+second.StockSet != 0 {
		t.Errorf("second %+v", second)
	}
}

func TestARefusedProductIsABadRowAndHasNoStock(t *testing.T) {
	s := newShelf()
	var bad []BadRow
	sum, err := Import(t.Context(), Config{
		Catalog: s, Inventory: s, Currency: "EUR", OnBadRow: func(b BadRow) { bad = append(bad, b) },
		Source: strings.NewReader("Handle,Title,Price,Inventory quantity\na,A,1,1\nrefused,R,1,5\nb,B,x,1\n"),
	})
	if err != nil || sum.BadRows != 2 || len(bad) != 2 || bad[0].Line != 4 || bad[1].Line != 3 {
		t.Errorf("%+v, %v, bad %v", sum, err, bad)
	}
	if _, ok := s.stock["refused"]; ok || s.stock["a"] != 1 {
		t.Errorf("stock %v", s.stock)
	}
}

// rows generates an export of n rows, two a product.
type rows struct {
	n, i int
	buf  []byte
}

func (r *rows) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		switch {
		case r.i > r.n:
			return 0, io.EOF
		case r.i == 0:
			r.buf = []byte("Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Inventory quantity\r\n")
		case r.i%2 == 1:
			r.buf = fmt.Appendf(nil, "p%d,Product %d,\"<p>%s</p>\",Size,S,SKU-%d,9.99,5\r\n", r.i, r.i, strings.Repeat("words ", 100), r.i)
		default:
			r.buf = fmt.Appendf(nil, "p%d,,,,M,SKU-%d,10.99,7\r\n", r.i-1, r.i)
		}
		r.i++
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

func TestAHundredThousandRowsInBoundedMemory(t *testing.T) {
	s := newShelf()
	var peak uint64
	sum, err := Import(t.Context(), Config{
		Catalog: s, Inventory: s, Source: &rows{n: 100_000}, Currency: "EUR",
		Progress: func(sum Summary) {
			if sum.Products%10_000 != 0 {
				return
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		},
	})
	if err != nil || sum.Rows != 100_000 || sum.Products != 50_000 || sum.BadRows != 0 || s.largest > batchProducts {
		t.Fatalf("%+v, %v; the largest batch %d", sum, err, s.largest)
	}
	t.Logf("at most %d KiB of live heap", peak>>10)
	if peak == 0 || peak > 32<<20 {
		t.Errorf("%d bytes of live heap", peak)
	}
}
