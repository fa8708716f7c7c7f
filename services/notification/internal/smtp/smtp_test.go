package smtp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
	"github.com/cleavehq/cleave/services/notification/internal/smtp"
	"github.com/cleavehq/cleave/services/notification/internal/smtptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "s3cret-canary"

func sender(t *testing.T, url string) *smtp.Sender {
	t.Helper()
	s, err := smtp.New(url, "The Shop <shop@example.com>", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func letter() letters.Mail {
	return letters.Mail{
		EventID: "0199f2d4", To: "ada@example.org", Subject: "Für Ada: ✓", Text: "Grüße\n.\n..\n" + strings.Repeat("long ", 300) + "\n", HTML: "<p>Grüße</p>",
	}
}

func TestSend(t *testing.T) {
	server := smtptest.Start(t, "")
	s := sender(t, "smtp://"+server.Addr)
	if err := s.Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	again := letter()
	again.Again = 2
	if err := s.Send(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	got := server.Mails()
	if len(got) != 2 || !strings.Contains(got[0].From, "<shop@example.com>") || !strings.Contains(got[0].To, "<ada@example.org>") {
		t.Fatalf("%+v", got)
	}
	for i, id := range []string{"<0199f2d4@example.com>", "<0199f2d4.2@example.com>"} {
		m, err := mail.ReadMessage(strings.NewReader(got[i].Data))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != letter().Subject || m.Header.Get("Message-ID") != id || m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("%v, %v", m.Header, err)
		}
		if text, html := parts(t, m); text != letter().Text || html != letter().HTML {
			t.Errorf("%q, %q", text, html)
		}
	}
}

// parts are the plain text and the HTML.
func parts(t *testing.T, m *mail.Message) (text, html string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var out []string
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if len(out) != 2 {
		t.Fatalf("%d parts", len(out))
	}
	return out[0], out[1]
}

// What the server says decides whether it is of use to try again.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		command, answer string
		code            int
		final           bool
	}{
		{"CONNECT", "554 not today " + canary, 554, false}, // that is about us, not about the mail
		{"CONNECT", "421 busy", 421, false},
		{"MAIL", "451 later", 451, false},
		{"MAIL", "550 not you", 550, true},
		{"RCPT", "450 full " + canary, 450, false},
		{"RCPT", "550 nobody " + canary, 550, true},
		{"DATA", "452 full", 452, false},
		{"DATA", "554 no", 554, true},
		{"END", "451 later", 451, false},
		{"END", "554 spam " + canary, 554, true},
	} {
		t.Run(c.command+" "+c.answer[:3], func(t *testing.T) {
			server := smtptest.Start(t, "")
			server.Answer(c.command, c.answer)
			s := sender(t, "smtp://"+server.Addr)
			err := s.Send(t.Context(), letter())
			var no *letters.Refusal
			if !errors.As(err, &no) || no.Code != c.code || no.Final != c.final || strings.Contains(err.Error(), canary) {
				t.Errorf("%v, %+v", err, no)
			}
			if err := s.Send(t.Context(), letter()); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// A server that breaks off is asked again, even if it has the mail.
func TestBrokenOff(t *testing.T) {
	for _, command := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END"} {
		t.Run(command, func(t *testing.T) {
			server := smtptest.Start(t, "")
			server.Answer(command, smtptest.HangUp, smtptest.HangUp) // EHLO is tried as HELO too
			err := sender(t, "smtp://"+server.Addr).Send(t.Context(), letter())
			var no *letters.Refusal
			if err == nil || errors.As(err, &no) {
				t.Errorf("%v", err)
			}
		})
	}
	// What comes after the yes is of no interest.
	server := smtptest.Start(t, "")
	server.Answer("RSET", smtptest.HangUp)
	server.Answer("QUIT", smtptest.HangUp)
	if err := sender(t, "smtp://"+server.Addr).Send(t.Context(), letter()); err != nil || len(server.Mails()) != 1 {
		t.Errorf("%v", err)
	}
}

func TestTheContextEndsIt(t *testing.T) {
	server := smtptest.Start(t, "")
	server.Answer("END", "") // an empty line, and then nothing: the answer isn't over
	server.Answer("MAIL", "250-wait")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := sender(t, "smtp://"+server.Addr).Send(ctx, letter()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// The password goes to the server, and nowhere else; without TLS it goes nowhere, unless the operator says so.
func TestThePassword(t *testing.T) {
	server := smtptest.Start(t, canary)
	if err := sender(t, fmt.Sprintf("smtp://shop:%s@%s?tls=off", canary, server.Addr)).Send(t.Context(), letter()); err != nil {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	hidden := []error{
		sender(t, fmt.Sprintf("smtp://shop:%s@%s", canary, server.Addr)).Send(t.Context(), letter()),
		sender(t, fmt.Sprintf("smtp://shop:%s-wrong@%s?tls=off", canary, server.Addr)).Send(t.Context(), letter()),
		sender(t, fmt.Sprintf("smtps://shop:%s@%s", canary, server.Addr)).Send(short, letter()), // it waits for a TLS that never comes
	}
	for _, url := range []string{
		"smtp://shop:" + canary + "@", "http://shop:" + canary + "@example.com", "smtp://shop:" + canary + "%zz@example.com", "smtp://shop:" + canary + "@example.com:99999999",
		"smtp://shop:" + canary + "@example.com/path", canary,
	} {
		_, err := smtp.New(url, "shop@example.com", time.Now)
		hidden = append(hidden, err)
	}
	for i, err := range hidden {
		wrong := base64.StdEncoding.EncodeToString([]byte("\x00shop\x00" + canary + "-wrong"))
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), wrong) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := len(server.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
	if _, err := smtp.New("smtp://example.com", "nobody", time.Now); err == nil {
		t.Error("a sender that is no address")
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	server := smtptest.Start(t, "")
	for _, to := range []string{"", "nobody", "a@b.example\r\nRCPT TO:<c@d.example>"} {
		m := letter()
		m.To = to
		var no *letters.Refusal
		if err := sender(t, "smtp://"+server.Addr).Send(t.Context(), m); !errors.As(err, &no) || !no.Final || no.Code != 0 {
			t.Errorf("%q: %v", to, err)
		}
	}
	if len(server.Mails()) > 0 {
		t.Error("it was sent")
	}
}
