// Package rpc speaks shop.catalog.v1 for the catalogue's business: it turns messages into calls and products into messages, and decides
// nothing.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
)

// Handler is catalogv1.CatalogHandler over a product.Service.
type Handler struct {
	svc       *product.Service
	validator protovalidate.Validator
}

var _ catalogv1.CatalogHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *product.Service) (*Handler, error) {
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make a validator: %w", err)
	}
	return &Handler{svc: svc, validator: v}, nil
}

// GetProduct implements catalogv1.CatalogHandler.
func (h *Handler) GetProduct(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	p, err := h.svc.Get(ctx, in.GetId(), in.GetHandle())
	return answer(out, p, err)
}

// ListProducts implements catalogv1.CatalogHandler.
func (h *Handler) ListProducts(ctx context.Context, in *catalogv1.ListProductsRequest, out *catalogv1.ListProductsResponse) error {
	page, err := h.svc.List(ctx, in.GetCategory(), product.Status(in.GetStatus()), int(in.GetPageSize()), in.GetPageToken())
	out.Products, out.NextPageToken = messages(page.Products), page.Next
	return err
}

// SearchProducts implements catalogv1.CatalogHandler.
func (h *Handler) SearchProducts(ctx context.Context, in *catalogv1.SearchProductsRequest, out *catalogv1.SearchProductsResponse) error {
	page, err := h.svc.Search(ctx, in.GetQuery(), int(in.GetPageSize()), in.GetPageToken())
	out.Products, out.NextPageToken = messages(page.Products), page.Next
	return err
}

// CreateProduct implements catalogv1.CatalogHandler.
func (h *Handler) CreateProduct(ctx context.Context, in *catalogv1.CreateProductRequest, out *catalogv1.Product) error {
	p, err := h.svc.Create(ctx, fromMessage(in.GetProduct()), in.GetRequestId())
	return answer(out, p, err)
}

// UpdateProduct implements catalogv1.CatalogHandler.
func (h *Handler) UpdateProduct(ctx context.Context, in *catalogv1.UpdateProductRequest, out *catalogv1.Product) error {
	paths, err := maskOf(in)
	if err != nil {
		return err
	}
	id := in.GetProduct().GetId()
	if id == "" || len(id) > 36 {
		return problem.Invalid(problem.Field{Path: "product.id", Message: "must be the id of the product"})
	}
	p, err := h.svc.Update(ctx, id, in.GetProduct().GetEtag(), func(p *product.Product) error {
		m := toMessage(*p)
		apply(m, in.GetProduct(), paths)
		if fields := h.wrong(m); len(fields) > 0 {
			for i := range fields {
				fields[i].Path = "product." + fields[i].Path
			}
			return problem.Invalid(fields...)
		}
		changed := fromMessage(m)
		changed.ID, changed.Created, changed.Updated, changed.Revision = p.ID, p.Created, p.Updated, p.Revision
		*p = changed
		return nil
	})
	return answer(out, p, err)
}

// BatchImportProducts implements catalogv1.CatalogHandler. The contract keeps the server from validating the products, since one that is
// wrong must not turn the others away; so each is validated alone here.
func (h *Handler) BatchImportProducts(
	ctx context.Context, in *catalogv1.BatchImportProductsRequest, out *catalogv1.BatchImportProductsResponse,
) error {
	var good []product.Product
	var places []int
	failures := make([]*catalogv1.ImportFailure, len(in.GetProducts()))
	fail := func(i int, reason string) {
		failures[i] = &catalogv1.ImportFailure{Index: int32(i), Handle: in.GetProducts()[i].GetHandle(), Reason: reason} //nolint:gosec // at most 500
	}
	for i, m := range in.GetProducts() {
		if fields := h.wrong(m); len(fields) > 0 {
			fail(i, sentence(fields))
			continue
		}
		good, places = append(good, fromMessage(m)), append(places, i)
	}
	outcomes, err := h.svc.Import(ctx, good)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		switch o.Result {
		case product.Created:
			out.Created++
		case product.Updated:
			out.Updated++
		case product.Unchanged:
			out.Unchanged++
		case product.Failed:
			p := problem.From(o.Err)
			if len(p.Fields) > 0 {
				fail(places[i], sentence(p.Fields))
			} else {
				fail(places[i], p.Message)
			}
		}
	}
	for _, f := range failures {
		if f != nil {
			out.Failures = append(out.Failures, f)
		}
	}
	return nil
}

// ExportProducts implements catalogv1.CatalogHandler.
func (h *Handler) ExportProducts(ctx context.Context, in *catalogv1.ExportProductsRequest, out catalogv1.Catalog_ExportProductsStream) error {
	return h.svc.Export(ctx, in.GetCategory(), func(p product.Product) error { return out.Send(toMessage(p)) })
}

// GetVariant implements catalogv1.CatalogHandler.
func (h *Handler) GetVariant(ctx context.Context, in *catalogv1.GetVariantRequest, out *catalogv1.GetVariantResponse) error {
	v, p, err := h.svc.BySKU(ctx, in.GetSku())
	if err != nil {
		return err
	}
	out.Variant, out.ProductId, out.ProductTitle = variantMessage(v), p.ID, p.Title
	out.ProductStatus = catalogv1.ProductStatus(p.Status) //nolint:gosec // 1 to 3
	return nil
}

// GetCategory implements catalogv1.CatalogHandler.
func (h *Handler) GetCategory(ctx context.Context, in *catalogv1.GetCategoryRequest, out *catalogv1.Category) error {
	c, err := h.svc.Category(ctx, in.GetSlug())
	out.Slug, out.Title, out.ProductCount = c.Slug, c.Title, c.Products
	return err
}

// ListCategories implements catalogv1.CatalogHandler.
func (h *Handler) ListCategories(ctx context.Context, in *catalogv1.ListCategoriesRequest, out *catalogv1.ListCategoriesResponse) error {
	list, next, err := h.svc.Categories(ctx, int(in.GetPageSize()), in.GetPageToken())
	out.NextPageToken = next
	for _, c := range list {
		out.Categories = append(out.Categories, &catalogv1.Category{Slug: c.Slug, Title: c.Title, ProductCount: c.Products})
	}
	return err
}

// CreateCategory implements catalogv1.CatalogHandler.
func (h *Handler) CreateCategory(ctx context.Context, in *catalogv1.CreateCategoryRequest, out *catalogv1.Category) error {
	c, err := h.svc.CreateCategory(ctx, product.Category{Slug: in.GetCategory().GetSlug(), Title: in.GetCategory().GetTitle()})
	out.Slug, out.Title = c.Slug, c.Title
	return err
}

// wrong returns what is wrong with a product, by the rules of its contract.
func (h *Handler) wrong(m *catalogv1.Product) []problem.Field {
	if m == nil {
		return []problem.Field{{Message: "the product is empty"}}
	}
	err := h.validator.Validate(m)
	if err == nil {
		return nil
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return []problem.Field{{Message: err.Error()}}
	}
	fields := make([]problem.Field, 0, len(bad.Violations))
	for _, v := range bad.Violations {
		fields = append(fields, problem.Field{Path: protovalidate.FieldPathString(v.Proto.GetField()), Message: v.Proto.GetMessage()})
	}
	return fields
}

func sentence(fields []problem.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = strings.TrimSpace(f.Path + " " + f.Message)
	}
	return strings.Join(parts, "; ")
}

func answer(out *catalogv1.Product, p product.Product, err error) error {
	if err != nil {
		return err
	}
	proto.Merge(out, toMessage(p))
	return nil
}
