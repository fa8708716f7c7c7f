package product

import (
	"strings"
	"testing"
)

func FuzzWords(f *testing.F) {
	f.Add("Café de Olla", "<p>x</p>")
	f.Add("%_'", "&amp;<")
	f.Fuzz(func(t *testing.T, query, html string) {
		w, err := Words(query)
		for _, word := range w {
			if err == nil && (word == "" || strings.ContainsAny(word, "%_\\' \x00")) {
				t.Errorf("%q has the word %q", query, word)
			}
		}
		_ = Product{Title: query, DescriptionHTML: html}.SearchText()
	})
}
