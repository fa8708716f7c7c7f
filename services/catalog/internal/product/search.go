package product

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/cleavehq/cleave/chassis/problem"
)

// MaxWords is how many words a search may have.
const MaxWords = 10

// SearchText is what a search looks at: title, vendor, tags and description, without markup, folded.
func (p Product) SearchText() string {
	var b strings.Builder
	for _, s := range append([]string{p.Title, p.Vendor, plain(p.DescriptionHTML)}, p.Tags...) {
		b.WriteString(strings.Join(words(s), " "))
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

// Words splits a query as SearchText splits a product. It fails when none is left, and when there are more than ten.
func Words(query string) ([]string, error) {
	w := words(query)
	if len(w) == 0 || len(w) > MaxWords {
		return nil, problem.InvalidArgument(ReasonQueryInvalid, "query has %d words, want 1 to %d", len(w), MaxWords)
	}
	return w, nil
}

// words are runs of letters, marks and digits, in one case and without accents, so that "Café" finds "CAFE".
func words(s string) []string {
	s = cases.Fold().String(norm.NFKD.String(s))
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// plain is the text of an HTML fragment.
func plain(fragment string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(fragment))
	for {
		switch z.Next() {
		case html.ErrorToken: // the end; a fragment that isn't HTML is text
			return b.String()
		case html.TextToken:
			b.Write(z.Text())
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
			b.WriteByte(' ')
		}
	}
}
