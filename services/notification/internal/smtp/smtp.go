// Package smtp hands mails to a mail server.
package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

// timeout of one step of the conversation; the context bounds all of it.
const timeout = 30 * time.Second

// Sender is a letters.Sender. Each mail has a connection of its own. It is safe for concurrent use.
type Sender struct {
	host    string
	first   bool           // TLS comes first
	roots   *x509.CertPool // nil is the system's
	options []gomail.Option
	from    *mail.Address
	domain  string
	now     func() time.Time
}

var _ letters.Sender = (*Sender)(nil)

// New makes a Sender. to is smtp://user:password@host:port, or smtps:// where TLS comes first; from is the sender, "Shop <shop@example.com>".
// With a user, smtp needs STARTTLS, or it sends nothing; without one it takes STARTTLS where it is offered; ?tls=off does without.
// The error holds nothing of to, which has a password in it.
func New(to, from string, now func() time.Time) (*Sender, error) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("a mail server is smtp://user:password@host:port, or smtps:// and the same") // err would show the password
	}
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("the sender of mails, %q, is no address", from)
	}
	s := &Sender{host: u.Hostname(), from: sender, now: now}
	s.domain = sender.Address[strings.LastIndexByte(sender.Address, '@')+1:]
	s.options = []gomail.Option{gomail.WithTimeout(timeout), gomail.WithHELO(helo()), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()),
			gomail.WithPassword(password), gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	port := 587
	switch {
	case u.Scheme == "smtps":
		port, s.first = 465, true
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSOpportunistic)) // what dial gives it is TLS already
	case u.Query().Get("tls") == "off":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
		if u.User != nil { // both are in the URL, so both are meant
			s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthPlainNoEnc))
		}
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return nil, errors.New("the URL of the mail server has a strange port")
		}
	}
	s.options = append(s.options, gomail.WithPort(port))
	if _, err := gomail.NewClient(s.host, s.options...); err != nil {
		return nil, errors.New("the URL of the mail server can't be used")
	}
	return s, nil
}

// helo is the name that we have for the server.
func helo() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// Send implements letters.Sender. When the connection breaks after the text was sent, the server may have taken the mail or not: the error
// is an ordinary one, and the mail that is sent again has the same Message-ID.
func (s *Sender) Send(ctx context.Context, m letters.Mail) error {
	msg, err := s.message(m)
	if err != nil {
		return &letters.Refusal{Final: true}
	}
	line := &line{host: s.host, tls: s.first, roots: s.roots}
	defer line.hangUp()
	defer context.AfterFunc(ctx, line.hangUp)() // the client itself has no context for what it says
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithDialContextFunc(line.dial))...)
	if err != nil {
		return errors.New("make a mail client")
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return refused(ctx, err, false)
	}
	err = client.SendWithSMTPClient(conn, msg)
	_ = client.CloseWithSMTPClient(conn)
	if err == nil || msg.IsDelivered() { // what comes after the server has said yes is of no interest
		return nil
	}
	return refused(ctx, err, true)
}

func (s *Sender) message(m letters.Mail) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	if err := msg.To(m.To); err != nil {
		return nil, err
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.MessageID(s.domain))
	msg.SetDateWithValue(s.now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no holiday notice in return, https://www.rfc-editor.org/rfc/rfc3834
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}

// refused says what an error is, without its words, which are the server's and may repeat ours. Only what the server says to this mail can be
// final: a password that is wrong, or a server that closes, says nothing of the mail.
func refused(ctx context.Context, err error, aboutMail bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	code := 0
	var send *gomail.SendError
	var reply *textproto.Error
	switch {
	case errors.As(err, &send):
		code = send.ErrorCode()
	case errors.As(err, &reply):
		code = reply.Code
	}
	if code >= 400 {
		return &letters.Refusal{Code: code, Final: aboutMail && code >= 500}
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return context.DeadlineExceeded
	}
	return errors.New("the mail server can't be reached, or broke off")
}
