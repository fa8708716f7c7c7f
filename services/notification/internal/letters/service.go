package letters

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; all of it but Sends.
type Config struct {
	Store    Store
	Renderer Renderer
	// Sends: there is a mail server. Without one every mail is held.
	Sends bool
	// Now is the clock.
	Now func() time.Time
	// NewID makes a UUIDv7.
	NewID func() (string, error)
}

// Service writes mails. It is safe for concurrent use. Its errors are coded ones of chassis/problem with the reasons of this package; any
// other error is an internal one, and nothing was changed.
type Service struct{ cfg Config }

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Renderer == nil || c.Now == nil || c.NewID == nil {
		return nil, errors.New("notification: Store, Renderer, Now and NewID are all needed")
	}
	return &Service{cfg: c}, nil
}

// Write renders a draft and puts it into the queue, in the caller's transaction. Again for the same event and template, it changes nothing.
func (s *Service) Write(ctx context.Context, tx Tx, d Draft) error {
	words, err := s.cfg.Renderer.Render(d.Template, d.Locale, d.Data)
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	id, err := s.cfg.NewID()
	if err != nil {
		return fmt.Errorf("make a mail id: %w", err)
	}
	at := s.time()
	m := Mail{
		ID: id, EventID: d.EventID, Template: d.Template, Locale: words.Locale, To: d.To, CustomerID: d.CustomerID, OrderID: d.OrderID,
		Subject: words.Subject, Text: words.Text, HTML: words.HTML, Secret: d.Secret, Expires: d.Expires,
		State: Held, Created: at, Updated: at,
	}
	if s.cfg.Sends {
		m.State, m.Next = Pending, at
	}
	return tx.Add(ctx, m)
}

// WriteToInformed is Write for who knows of the order, by a mail that said it was confirmed. A card that was declined at the checkout is no news to
// the buyer.
func (s *Service) WriteToInformed(ctx context.Context, tx Tx, d Draft) error {
	told, err := tx.Told(ctx, d.OrderID, OrderConfirmed)
	if err != nil || !told {
		return err
	}
	return s.Write(ctx, tx, d)
}

// Erase forgets a customer, in the caller's transaction.
func (s *Service) Erase(ctx context.Context, tx Tx, customerID string) error {
	return tx.Erase(ctx, customerID, s.time())
}

// Get returns a mail, without the words of one that holds a secret; NOTIFICATION_NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (Mail, error) {
	m, ok, err := s.cfg.Store.Mail(ctx, id)
	return shown(m, ok, id, "get a mail", err)
}

// Resend sends a mail again, whatever became of it. NOTIFICATION_NOT_FOUND, NO_MAIL_SERVER, MAIL_PENDING, MAIL_ERASED.
func (s *Service) Resend(ctx context.Context, id string) (Mail, error) {
	now := s.time()
	m, ok, err := s.cfg.Store.Again(ctx, id, now, func(m Mail) error {
		switch {
		case m.State == Erased, m.Text == "", !m.Expires.IsZero() && !now.Before(m.Expires):
			return problem.FailedPrecondition(ReasonErased, "the text of mail %s isn't kept any more", id)
		case m.State == Pending:
			return problem.FailedPrecondition(ReasonPending, "mail %s is about to be sent", id)
		case !s.cfg.Sends:
			return problem.FailedPrecondition(ReasonNoServer, "no mail server is configured")
		default:
			return nil
		}
	})
	return shown(m, ok, id, "resend a mail", err)
}

func shown(m Mail, ok bool, id, what string, err error) (Mail, error) {
	if err != nil {
		return Mail{}, fmt.Errorf("%s: %w", what, err)
	}
	if !ok {
		return Mail{}, problem.NotFound(ReasonNotFound, "no notification %s", id)
	}
	if m.Secret {
		m.Text, m.HTML = "", ""
	}
	return m, nil
}

// List returns a page of mails without their text, the newest first, and the token of the next page; empty on the last one. size is 50 when 0.
// PAGE_TOKEN_INVALID when the token isn't one of ours or belongs to another filter.
func (s *Service) List(ctx context.Context, only State, size int, token string) ([]Mail, string, error) {
	list := page.Of("notifications", string(only))
	before, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	size = page.Size(size)
	all, err := s.cfg.Store.Page(ctx, only, before, size+1) // one more, to see whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list mails: %w", err)
	}
	if len(all) <= size {
		return all, "", nil
	}
	last := all[size-1]
	return all[:size], list.Token(strconv.FormatInt(last.Created.UnixMicro(), 10), last.ID), nil
}

// cursor makes a Cursor of the keys of a page token, and the zero one of none.
func cursor(keys []string, err error) (Cursor, error) {
	if err != nil || len(keys) == 0 {
		return Cursor{}, err
	}
	micros, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil || uuid.Validate(keys[1]) != nil {
		return Cursor{}, page.Invalid()
	}
	return Cursor{Created: time.UnixMicro(micros).UTC(), ID: keys[1]}, nil
}

func (s *Service) time() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
