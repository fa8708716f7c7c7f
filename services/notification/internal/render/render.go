// Package render makes the words of mails, from templates that are in the binary: templates/LOCALE/NAME.txt, whose first line is the subject, and
// NAME.html, which says the same.
package render

import (
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"path"
	"strings"
	text "text/template"
	"unicode"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

//go:embed templates
var files embed.FS

// Fallback is the locale that has every template.
const Fallback = "en"

// Renderer is a letters.Renderer. It is safe for concurrent use.
type Renderer struct {
	// by locale, then name
	texts map[string]map[string]*text.Template
	pages map[string]map[string]*html.Template
}

var _ letters.Renderer = (*Renderer)(nil)

// New parses the templates. It fails when one of the fallback's is missing.
func New() (*Renderer, error) {
	r := &Renderer{texts: map[string]map[string]*text.Template{}, pages: map[string]map[string]*html.Template{}}
	locales, err := fs.ReadDir(files, "templates")
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	for _, l := range locales {
		if err := r.parse(l.Name()); err != nil {
			return nil, fmt.Errorf("read the templates of %s: %w", l.Name(), err)
		}
	}
	for _, name := range letters.Templates() {
		if r.texts[Fallback][name] == nil || r.pages[Fallback][name] == nil {
			return nil, fmt.Errorf("there is no template %s", name)
		}
	}
	return r, nil
}

func (r *Renderer) parse(locale string) error {
	r.texts[locale], r.pages[locale] = map[string]*text.Template{}, map[string]*html.Template{}
	dir := path.Join("templates", locale)
	for _, name := range letters.Templates() {
		body, err := fs.ReadFile(files, path.Join(dir, name+".txt"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the fallback has it
		}
		if err != nil {
			return err
		}
		t := text.New(name).Funcs(text.FuncMap{"short": short}).Option("missingkey=error")
		if t, err = t.ParseFS(files, path.Join(dir, "shared.txt")); err != nil {
			return err
		}
		if r.texts[locale][name], err = t.New(name).Parse(string(body)); err != nil {
			return err
		}
		page, err := fs.ReadFile(files, path.Join(dir, name+".html"))
		if err != nil {
			return err
		}
		h := html.New(name).Funcs(html.FuncMap{"short": short}).Option("missingkey=error")
		if h, err = h.ParseFS(files, path.Join(dir, "shared.html")); err != nil {
			return err
		}
		if _, err = h.New("content").Parse(string(page)); err != nil {
			return err
		}
		r.pages[locale][name] = h
	}
	return nil
}

// Render implements letters.Renderer. "de-CH" is looked for as de-CH, then as de, then as the fallback.
func (r *Renderer) Render(template, locale string, d letters.Data) (letters.Words, error) {
	language, _, _ := strings.Cut(locale, "-")
	for _, l := range []string{locale, language, Fallback} {
		if t := r.texts[l][template]; t != nil {
			return render(l, t, r.pages[l][template], d)
		}
	}
	return letters.Words{}, fmt.Errorf("there is no template %q", template)
}

func render(locale string, t *text.Template, h *html.Template, d letters.Data) (letters.Words, error) {
	var plain, page strings.Builder
	if err := t.Execute(&plain, d); err != nil {
		return letters.Words{}, fmt.Errorf("render the text of %s: %w", t.Name(), err)
	}
	if err := h.ExecuteTemplate(&page, "page", d); err != nil {
		return letters.Words{}, fmt.Errorf("render the HTML of %s: %w", t.Name(), err)
	}
	head, body, ok := strings.Cut(plain.String(), "\n\n")
	subject, found := strings.CutPrefix(head, "Subject: ")
	if !ok || !found {
		return letters.Words{}, fmt.Errorf("template %s doesn't begin with its subject", t.Name())
	}
	return letters.Words{Locale: locale, Subject: oneLine(subject), Text: strings.TrimSpace(body) + "\n", HTML: page.String()}, nil
}

// oneLine keeps what someone chose, such as a name, from ending the subject and beginning a header of its own.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }), " ")
}

// short is the end of an id, which tells orders of one day apart, as the head of a UUIDv7 doesn't.
func short(id string) string {
	if i := strings.LastIndexByte(id, '-'); i >= 0 {
		return id[i+1:]
	}
	return id
}

// Money writes an amount as a person does: 1999 and EUR as "19.99 EUR". How many digits are behind the point is ISO 4217's.
func Money(minor int64, currency string) string {
	digits := 2
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		digits = 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		digits = 3
	}
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	n := fmt.Sprintf("%0*d", digits+1, minor)
	if digits == 0 {
		return sign + n + " " + currency
	}
	return sign + n[:len(n)-digits] + "." + n[len(n)-digits:] + " " + currency
}
