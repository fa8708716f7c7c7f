package rpc

import (
	"context"
	"database/sql"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/outbox"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/catalog/internal/product"
)

func messages(list []product.Product) []*catalogv1.Product {
	out := make([]*catalogv1.Product, len(list))
	for i, p := range list {
		out[i] = toMessage(p)
	}
	return out
}

func toMessage(p product.Product) *catalogv1.Product {
	m := &catalogv1.Product{
		Id: p.ID, Handle: p.Handle, Title: p.Title, DescriptionHtml: p.DescriptionHTML, Vendor: p.Vendor, Category: p.Category, Tags: p.Tags,
		Status:     catalogv1.ProductStatus(p.Status), //nolint:gosec // 1 to 3
		CreateTime: timestamppb.New(p.Created), UpdateTime: timestamppb.New(p.Updated), Etag: p.Etag(),
	}
	for _, v := range p.Variants {
		m.Variants = append(m.Variants, variantMessage(v))
	}
	for _, i := range p.Images {
		m.Images = append(m.Images, &catalogv1.Image{Src: i.Src, Alt: i.Alt})
	}
	return m
}

func variantMessage(v product.Variant) *catalogv1.Variant {
	m := &catalogv1.Variant{
		Sku: v.SKU, Title: v.Title, Price: &typev1.Money{Currency: v.Price.Currency, Minor: v.Price.Minor}, Barcode: v.Barcode, Grams: v.Grams,
	}
	for _, o := range v.Options {
		m.Options = append(m.Options, &catalogv1.Option{Name: o.Name, Value: o.Value})
	}
	return m
}

// fromMessage takes what a caller may say of a product: its id, times and etag are ours.
func fromMessage(m *catalogv1.Product) product.Product {
	p := product.Product{
		Handle: m.GetHandle(), Title: m.GetTitle(), DescriptionHTML: m.GetDescriptionHtml(), Vendor: m.GetVendor(), Category: m.GetCategory(),
		Tags: m.GetTags(), Status: product.Status(m.GetStatus()),
	}
	if p.Status == 0 {
		p.Status = product.Draft
	}
	for _, v := range m.GetVariants() {
		pv := product.Variant{
			SKU: v.GetSku(), Title: v.GetTitle(), Price: product.Money{Currency: v.GetPrice().GetCurrency(), Minor: v.GetPrice().GetMinor()},
			Barcode: v.GetBarcode(), Grams: v.GetGrams(),
		}
		for _, o := range v.GetOptions() {
			pv.Options = append(pv.Options, product.Option{Name: o.GetName(), Value: o.GetValue()})
		}
		p.Variants = append(p.Variants, pv)
	}
	for _, i := range m.GetImages() {
		p.Images = append(p.Images, product.Image{Src: i.GetSrc(), Alt: i.GetAlt()})
	}
	return p
}

// Tell appends shop.catalog.v1.ProductChanged to the outbox; its key is the product's id.
func Tell(ctx context.Context, tx *sql.Tx, p product.Product) error {
	return outbox.Append(ctx, tx, p.ID, &catalogv1.ProductChanged{OccurredAt: timestamppb.New(p.Updated), Product: toMessage(p)})
}
