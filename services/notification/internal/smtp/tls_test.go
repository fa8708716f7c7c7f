package smtp

import (
	"crypto/x509"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
	"github.com/cleavehq/cleave/services/notification/internal/smtptest"
)

// Over TLS the password and the mail go to who is known, and to nobody else.
func TestTLSFirst(t *testing.T) {
	web := httptest.NewTLSServer(nil) // it has a certificate for 127.0.0.1
	t.Cleanup(web.Close)
	server := smtptest.StartTLS(t, "secret", web.TLS.Certificates[0])
	s, err := New("smtps://shop:secret@"+server.Addr, "shop@example.com", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	m := letters.Mail{EventID: "1", To: "ada@example.org", Subject: "Hello", Text: "Hello", HTML: "Hello"}
	if err := s.Send(t.Context(), m); err == nil {
		t.Error("sent to who isn't known")
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(web.Certificate())
	if err := s.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if n := len(server.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}
