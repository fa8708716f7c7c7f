// Package product is the catalogue's business: what a product is, and what may be done with it.
package product

import (
	"slices"
	"strconv"
	"time"
)

// Status says whether a product can be bought. The numbers are stored.
type Status int64

// The statuses; zero is none.
const (
	Draft    Status = 1
	Active   Status = 2
	Archived Status = 3
)

// Money is an amount in minor units of a currency.
type Money struct {
	Currency string `json:"currency"`
	Minor    int64  `json:"minor"`
}

// Product is one thing the shop sells. The JSON is how it is stored.
type Product struct {
	ID              string    `json:"-"`
	Handle          string    `json:"handle"`
	Title           string    `json:"title"`
	DescriptionHTML string    `json:"description_html,omitempty"`
	Vendor          string    `json:"vendor,omitempty"`
	Category        string    `json:"category,omitempty"`
	Tags            []string  `json:"tags,omitempty"`
	Status          Status    `json:"status"`
	Variants        []Variant `json:"variants"`
	Images          []Image   `json:"images,omitempty"`
	Created         time.Time `json:"-"`
	Updated         time.Time `json:"-"`
	// Revision counts the changes, from 1.
	Revision int64 `json:"-"`
}

// Variant is what is put into a cart.
type Variant struct {
	SKU     string   `json:"sku"`
	Title   string   `json:"title,omitempty"`
	Price   Money    `json:"price"`
	Options []Option `json:"options,omitempty"`
	Barcode string   `json:"barcode,omitempty"`
	Grams   int64    `json:"grams,omitempty"`
}

// Option is one choice: Size = Small.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Image is a picture, by its address.
type Image struct {
	Src string `json:"src"`
	Alt string `json:"alt,omitempty"`
}

// Category is a shelf.
type Category struct {
	Slug, Title string
	Products    int64
}

// Etag changes with every change of the product.
func (p Product) Etag() string { return "r" + strconv.FormatInt(p.Revision, 10) }

// Variant returns the variant with that SKU.
func (p Product) Variant(sku string) (Variant, bool) {
	i := slices.IndexFunc(p.Variants, func(v Variant) bool { return v.SKU == sku })
	if i < 0 {
		return Variant{}, false
	}
	return p.Variants[i], true
}

// SameContent says whether q says of itself what p says, whatever their ids and times.
func (p Product) SameContent(q Product) bool {
	return p.Handle == q.Handle && p.Title == q.Title && p.DescriptionHTML == q.DescriptionHTML && p.Vendor == q.Vendor &&
		p.Category == q.Category && p.Status == q.Status && slices.Equal(p.Tags, q.Tags) && slices.Equal(p.Images, q.Images) &&
		slices.EqualFunc(p.Variants, q.Variants, func(a, b Variant) bool {
			return a.SKU == b.SKU && a.Title == b.Title && a.Price == b.Price && a.Barcode == b.Barcode && a.Grams == b.Grams &&
				slices.Equal(a.Options, b.Options)
		})
}
