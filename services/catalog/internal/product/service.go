package product

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

const (
	requestLife = 24 * time.Hour // of a CreateProduct request id
	exportPage  = 200
)

// Config is what a Service needs.
type Config struct {
	Store Store
	Now   func() time.Time
}

// Service is the catalogue.
type Service struct{ c Config }

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Now == nil {
		return nil, errors.New("catalog: Store and Now are needed")
	}
	return &Service{c: c}, nil
}

// Get returns a product by id, or by handle when id is empty.
func (s *Service) Get(ctx context.Context, id, handle string) (Product, error) {
	if err := storable("handle", handle); err != nil {
		return Product{}, err
	}
	if id != "" {
		return s.c.Store.ByID(ctx, id)
	}
	return s.c.Store.ByHandle(ctx, handle)
}

// BySKU returns a variant and its product.
func (s *Service) BySKU(ctx context.Context, sku string) (Variant, Product, error) {
	if err := storable("sku", sku); err != nil {
		return Variant{}, Product{}, err
	}
	p, err := s.c.Store.BySKU(ctx, sku)
	if err != nil {
		return Variant{}, Product{}, err
	}
	v, ok := p.Variant(sku)
	if !ok {
		return Variant{}, Product{}, problem.Internal(fmt.Errorf("product %s has lost its variant %q", p.ID, sku))
	}
	return v, p, nil
}

// Page is a page of products and the token of the next one, empty on the last.
type Page struct {
	Products []Product
	Next     string
}

// List returns a page by handle.
func (s *Service) List(ctx context.Context, category string, status Status, size int, token string) (Page, error) {
	if err := storable("category", category); err != nil {
		return Page{}, err
	}
	list := page.Of("products", category, strconv.FormatInt(int64(status), 10))
	return s.page(ctx, list, Query{Category: category, Status: status}, size, token)
}

// Search returns a page of the products that hold every word of the query.
func (s *Service) Search(ctx context.Context, query string, size int, token string) (Page, error) {
	w, err := Words(query)
	if err != nil {
		return Page{}, err
	}
	return s.page(ctx, page.Of("search", w...), Query{Words: w}, size, token)
}

func (s *Service) page(ctx context.Context, list page.List, q Query, size int, token string) (Page, error) {
	after, err := list.Parse(token, 1)
	if err != nil {
		return Page{}, err
	}
	q.After = strings.Join(after, "")
	size = page.Size(size)
	q.Limit = size + 1 // one more says whether there is a next page
	found, err := s.c.Store.Products(ctx, q)
	if err != nil || len(found) <= size {
		return Page{Products: found}, err
	}
	return Page{Products: found[:size], Next: list.Token(found[size-1].Handle)}, nil
}

// Export calls fn with every product by handle, as it stands when its turn comes, and ends with fn's first error.
func (s *Service) Export(ctx context.Context, category string, fn func(Product) error) error {
	if err := storable("category", category); err != nil {
		return err
	}
	q := Query{Category: category, Limit: exportPage}
	for {
		found, err := s.c.Store.Products(ctx, q)
		if err != nil {
			return err
		}
		for _, p := range found {
			if err := fn(p); err != nil {
				return err
			}
		}
		if len(found) < exportPage {
			return nil
		}
		q.After = found[len(found)-1].Handle
	}
}

// Create adds a product. Under a request id that was used within a day it returns the product made then.
func (s *Service) Create(ctx context.Context, p Product, requestID string) (Product, error) {
	if err := storableProduct(p); err != nil {
		return Product{}, err
	}
	if err := s.fresh(&p); err != nil {
		return Product{}, err
	}
	stored, err := s.c.Store.Insert(ctx, p, requestID, p.Created.Add(-requestLife))
	if err != nil {
		return Product{}, err
	}
	return stored, nil
}

// Update lets fn change the product with that id. etag may be empty; when it is not, the product must still have it.
func (s *Service) Update(ctx context.Context, id, etag string, fn func(*Product) error) (Product, error) {
	now := s.now()
	p, err := s.c.Store.Change(ctx, id, func(p *Product) error {
		if etag != "" && etag != p.Etag() {
			return problem.Aborted(ReasonEtagMismatch, "the product has changed: its etag is %q, not %q", p.Etag(), etag)
		}
		if err := fn(p); err != nil {
			return err
		}
		p.Updated = now
		return storableProduct(*p)
	})
	if err != nil {
		return Product{}, err
	}
	return p, nil
}

// Import creates or replaces products by handle, each for itself. The outcomes are in their order.
func (s *Service) Import(ctx context.Context, list []Product) ([]Outcome, error) {
	outcomes := make([]Outcome, len(list))
	var good []Product
	var places []int
	for i, p := range list {
		if err := storableProduct(p); err != nil {
			outcomes[i].Err = err
			continue
		}
		if err := s.fresh(&p); err != nil {
			return nil, err
		}
		good, places = append(good, p), append(places, i)
	}
	done, err := s.c.Store.Import(ctx, good)
	if err != nil {
		return nil, err
	}
	for i, o := range done {
		outcomes[places[i]] = o
	}
	return outcomes, nil
}

// CreateCategory adds an empty category.
func (s *Service) CreateCategory(ctx context.Context, c Category) (Category, error) {
	if err := storable("title", c.Title); err != nil {
		return Category{}, err
	}
	c.Products = 0
	return c, s.c.Store.InsertCategory(ctx, c)
}

// Category returns a category by slug.
func (s *Service) Category(ctx context.Context, slug string) (Category, error) {
	if err := storable("slug", slug); err != nil {
		return Category{}, err
	}
	return s.c.Store.Category(ctx, slug)
}

// Categories returns a page by slug, and the token of the next one.
func (s *Service) Categories(ctx context.Context, size int, token string) ([]Category, string, error) {
	list := page.Of("categories")
	after, err := list.Parse(token, 1)
	if err != nil {
		return nil, "", err
	}
	size = page.Size(size)
	found, err := s.c.Store.Categories(ctx, strings.Join(after, ""), size+1)
	if err != nil || len(found) <= size {
		return found, "", err
	}
	return found[:size], list.Token(found[size-1].Slug), nil
}

// fresh gives a new product its id and times.
func (s *Service) fresh(p *Product) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an id: %w", err)
	}
	p.ID, p.Created, p.Revision = id.String(), s.now(), 1
	p.Updated = p.Created
	if p.Status == 0 {
		p.Status = Draft
	}
	return nil
}

// now is what the store keeps: microseconds.
func (s *Service) now() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// storable refuses what PostgreSQL can't keep in a text.
func storable(field, text string) error {
	if strings.ContainsRune(text, 0) {
		return problem.Invalid(problem.Field{Path: field, Message: "must not hold the character U+0000"})
	}
	return nil
}

func storableProduct(p Product) error {
	errs := []error{
		storable("product.handle", p.Handle), storable("product.title", p.Title), storable("product.description_html", p.DescriptionHTML),
		storable("product.vendor", p.Vendor), storable("product.category", p.Category), storable("product.tags", strings.Join(p.Tags, "")),
	}
	seen := make(map[string]bool, len(p.Variants))
	for i, v := range p.Variants {
		field := fmt.Sprintf("product.variants[%d].sku", i)
		errs = append(errs, storable(field, v.SKU))
		if seen[v.SKU] {
			errs = append(errs, problem.Invalid(problem.Field{Path: field, Message: "is the SKU of another variant too"}))
		}
		seen[v.SKU] = true
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
