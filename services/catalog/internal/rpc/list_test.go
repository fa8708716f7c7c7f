package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
)

func TestPagesAreComplete(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		if _, err := s.CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "Tea"}}); err != nil {
			t.Fatal(err)
		}
		const n = 23
		for i := range n {
			p := thing(fmt.Sprintf("p%02d", i*7%n), fmt.Sprint("S", i))
			if i%2 == 0 {
				p.Category = "tea"
			}
			if i%3 == 0 {
				p.Status = catalogv1.ProductStatus_PRODUCT_STATUS_DRAFT
			}
			s.create(t, p)
		}
		for _, size := range []int32{1, 2, 5, 22, 23, 24, 0} {
			for name, tc := range map[string]struct {
				req  *catalogv1.ListProductsRequest
				want int
			}{
				"all":      {&catalogv1.ListProductsRequest{}, n},
				"category": {&catalogv1.ListProductsRequest{Category: "tea"}, 12},
				"status":   {&catalogv1.ListProductsRequest{Status: catalogv1.ProductStatus_PRODUCT_STATUS_DRAFT}, 8},
			} {
				var seen []string
				tc.req.PageSize = size
				for {
					page, err := s.ListProducts(t.Context(), tc.req)
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range page.GetProducts() {
						seen = append(seen, p.GetHandle())
					}
					if page.GetNextPageToken() == "" {
						break
					}
					tc.req.PageToken = page.GetNextPageToken()
				}
				if len(seen) != tc.want || !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != tc.want {
					t.Errorf("%s by %d: %v", name, size, seen)
				}
			}
		}
		first, err := s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"x", "AQ", first.GetNextPageToken() + "AA", first.GetNextPageToken()[1:]} {
			_, err := s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageToken: token})
			want(t, err, codes.InvalidArgument, product.ReasonPageTokenInvalid)
		}
		_, err = s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{Category: "tea", PageToken: first.GetNextPageToken()})
		want(t, err, codes.InvalidArgument, product.ReasonPageTokenInvalid)

		stream, err := s.ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var exported []string
		for {
			p, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			exported = append(exported, p.GetHandle())
		}
		if len(exported) != n || !slices.IsSorted(exported) {
			t.Errorf("exported %v", exported)
		}
		c, err := s.GetCategory(t.Context(), &catalogv1.GetCategoryRequest{Slug: "tea"})
		if err != nil || c.GetProductCount() != 12 || c.GetTitle() != "Tea" {
			t.Errorf("category %v, %v", c, err)
		}
	})
}

func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		for handle, text := range map[string]string{
			"cafe": "Café de Olla", "tea": "Green TEA 100%", "mug": "Mug_of clay", "script": "<script>tea</script>plain",
		} {
			p := thing(handle, strings.ToUpper(handle))
			p.Title, p.DescriptionHtml, p.Tags, p.Vendor = text, "<p>soft &amp; <i>warm</i></p>", []string{"gift"}, "Röst"
			s.create(t, p)
		}
		for query, wanted := range map[string]string{
			"cafe": "cafe", "CAFÉ olla": "cafe", "tea green": "tea", "green olla": "", "100%": "tea", "%": "-", "_": "-", "mug_of": "mug",
			"warm": "cafe mug script tea", "rost gift": "cafe mug script tea", "warm soft amp": "", "a b c d e f g h i j k": "-", "' OR 1=1": "",
		} {
			rsp, err := s.SearchProducts(t.Context(), &catalogv1.SearchProductsRequest{Query: query})
			if wanted == "-" {
				want(t, err, codes.InvalidArgument, product.ReasonQueryInvalid)
				continue
			}
			var got []string
			for _, p := range rsp.GetProducts() {
				got = append(got, p.GetHandle())
			}
			if err != nil || strings.Join(got, " ") != wanted {
				t.Errorf("%q found %v, %v; want %q", query, got, err, wanted)
			}
		}
	})
}

func TestImport(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		s.create(t, thing("taken", "TAKEN"))
		bad := thing("Bad Handle", "B-1")
		batch := []*catalogv1.Product{thing("one", "O-1"), bad, thing("two", "TAKEN"), thing("three", "T-1", "T-2"), nil}
		rsp, err := s.BatchImportProducts(t.Context(), &catalogv1.BatchImportProductsRequest{Products: batch})
		if err != nil || rsp.GetCreated() != 2 || len(rsp.GetFailures()) != 3 {
			t.Fatalf("first: %v, %v", rsp, err)
		}
		for i, f := range rsp.GetFailures() {
			if f.GetIndex() != []int32{1, 2, 4}[i] || f.GetReason() == "" {
				t.Errorf("failure %v", f)
			}
		}
		batch = []*catalogv1.Product{thing("one", "O-1"), thing("three", "T-1", "T-3")}
		rsp, err = s.BatchImportProducts(t.Context(), &catalogv1.BatchImportProductsRequest{Products: batch})
		if err != nil || rsp.GetUnchanged() != 1 || rsp.GetUpdated() != 1 || len(rsp.GetFailures()) != 0 {
			t.Errorf("second: %v, %v", rsp, err)
		}
		rsp, err = s.BatchImportProducts(t.Context(), &catalogv1.BatchImportProductsRequest{Products: batch})
		if err != nil || rsp.GetUnchanged() != 2 {
			t.Errorf("third: %v, %v", rsp, err)
		}
		if n := len(s.events(t)); n != 4 {
			t.Errorf("%d events, want 4", n)
		}
	})
}

// What can't be told isn't made: an event has less than 1 MiB.
func TestAProductTooLongForItsEvent(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		skus := make([]string, 2000)
		for i := range skus {
			skus[i] = fmt.Sprintf("L-%d-%s", i, strings.Repeat("x", 200))
		}
		long := thing("long", skus...)
		for _, v := range long.GetVariants() {
			v.Title, v.Barcode = strings.Repeat("t", 255), strings.Repeat("b", 255)
		}
		_, err := s.CreateProduct(t.Context(), &catalogv1.CreateProductRequest{Product: long})
		want(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		rsp, err := s.BatchImportProducts(t.Context(), &catalogv1.BatchImportProductsRequest{Products: []*catalogv1.Product{long, thing("short", "S")}})
		if err != nil || rsp.GetCreated() != 1 || len(rsp.GetFailures()) != 1 {
			t.Fatalf("%v, %v", rsp, err)
		}
		_, err = s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Handle{Handle: "long"}})
		want(t, err, codes.NotFound, product.ReasonProductNotFound)
		if n := len(s.events(t)); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

func TestCategories(t *testing.T) {
	each(t, func(t *testing.T, s *shop) {
		for _, slug := range []string{"tea", "art", "mugs"} {
			if _, err := s.CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: slug, Title: slug}}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.CreateCategory(t.Context(), &catalogv1.CreateCategoryRequest{Category: &catalogv1.Category{Slug: "tea", Title: "x"}})
		want(t, err, codes.AlreadyExists, product.ReasonSlugTaken)
		_, err = s.GetCategory(t.Context(), &catalogv1.GetCategoryRequest{Slug: "none"})
		want(t, err, codes.NotFound, product.ReasonCategoryNotFound)
		page, err := s.ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{PageSize: 2})
		if err != nil || len(page.GetCategories()) != 2 || page.GetCategories()[0].GetSlug() != "art" {
			t.Fatalf("%v, %v", page, err)
		}
		page, err = s.ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{PageSize: 2, PageToken: page.GetNextPageToken()})
		if err != nil || len(page.GetCategories()) != 1 || page.GetNextPageToken() != "" {
			t.Errorf("%v, %v", page, err)
		}
	})
}
