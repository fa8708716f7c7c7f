package product

import (
	"context"
	"time"

	"github.com/cleavehq/cleave/chassis/page"
)

// Store keeps products and categories, and tells every change of a product in the transaction of the change. Its errors are problems where
// a caller can do something about them, with the reasons below.
type Store interface {
	// Insert adds p, with variants and all. requestID may be empty; when a product was made under it since the given time, that one is
	// returned.
	Insert(ctx context.Context, p Product, requestID string, since time.Time) (Product, error)
	// Change reads the product with that id, lets fn change it, and writes it when its content has changed. fn may run more than once.
	Change(ctx context.Context, id string, fn func(*Product) error) (Product, error)
	// Import creates or replaces by handle; the outcomes are in the order of list, which has ids for those that are new.
	Import(ctx context.Context, list []Product) ([]Outcome, error)

	ByID(ctx context.Context, id string) (Product, error)
	ByHandle(ctx context.Context, handle string) (Product, error)
	BySKU(ctx context.Context, sku string) (Product, error)
	// Products returns at most q.Limit, by handle.
	Products(ctx context.Context, q Query) ([]Product, error)

	InsertCategory(ctx context.Context, c Category) error
	Category(ctx context.Context, slug string) (Category, error)
	// Categories returns at most limit, by slug.
	Categories(ctx context.Context, after string, limit int) ([]Category, error)
}

// Query says which products.
type Query struct {
	// After is the handle of the last one seen.
	After string
	// Category and Status filter when they are not zero.
	Category string
	Status   Status
	// Words must all be in the product's SearchText.
	Words []string
	Limit int
}

// Result says what an import did with one product.
type Result int

// The results of an import.
const (
	Failed Result = iota
	Created
	Updated
	Unchanged
)

// Outcome is what an import did with one product.
type Outcome struct {
	Result  Result
	Product Product
	// Err says why it failed.
	Err error
}

// Reasons of this package's problems.
const (
	ReasonProductNotFound  = "PRODUCT_NOT_FOUND"
	ReasonVariantNotFound  = "VARIANT_NOT_FOUND"
	ReasonCategoryNotFound = "CATEGORY_NOT_FOUND"
	ReasonHandleTaken      = "HANDLE_TAKEN"
	ReasonSKUTaken         = "SKU_TAKEN"
	ReasonSlugTaken        = "SLUG_TAKEN"
	ReasonEtagMismatch     = "ETAG_MISMATCH"
	ReasonRequestIDReused  = "REQUEST_ID_REUSED"
	ReasonPageTokenInvalid = page.ReasonTokenInvalid
	ReasonQueryInvalid     = "QUERY_INVALID"
)
