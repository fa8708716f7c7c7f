package admin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cleavehq/cleave/chassis/admin"
)

func TestProfile(t *testing.T) {
	for query, want := range map[string]int{
		"?of=goroutine": http.StatusOK, "?of=nothing": http.StatusNotFound, "?seconds=0": http.StatusBadRequest, "?seconds=51": http.StatusBadRequest,
		"?seconds=x": http.StatusBadRequest, "?seconds=1": http.StatusOK,
	} {
		w := httptest.NewRecorder()
		admin.Profile().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/profile"+query, http.NoBody))
		if w.Code != want || w.Body.Len() == 0 {
			t.Errorf("%s: %d, want %d; %d bytes", query, w.Code, want, w.Body.Len())
		}
	}
}
