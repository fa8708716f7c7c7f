package testprovider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// SignatureHeader has the signature of an event: t=TIME,v1=SIGNATURE. TIME is in seconds since 1970, SIGNATURE the HMAC-SHA-256 in hex
// of TIME, a full stop and the body: as Stripe does it, https://docs.stripe.com/webhooks#verify-manually.
const SignatureHeader = "Test-Signature"

// event is the body of a webhook.
type event struct {
	ID   string `json:"id"`
	Kind string `json:"type"`
	Key  string `json:"key"`
}

// retry is after how long an event that was not taken is delivered again.
const retry = time.Second

// tell makes an event, when there is someone to tell.
func (p *Provider) tell(ctx context.Context, tx *sql.Tx, c Charge, kind Kind) error {
	b := behave(c.behaviour)
	if p.c.Deliver == nil || b.deliveries == 0 {
		return nil
	}
	at := p.c.Now().Add(time.Duration(b.delay) * time.Millisecond)
	if b.disorder { // a hold has at most three events that matter
		at = at.Add(time.Duration(max(0, 2-c.events)) * time.Second)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO event (id, key, kind, deliver_at, times) VALUES ($1, $2, $3, $4, $5)",
		"evt_"+uuid.NewString(), c.Key, string(kind), at.UnixMicro(), b.deliveries)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE charge SET events = events + 1 WHERE key = $1", c.Key)
	}
	if err != nil {
		return fmt.Errorf("make an event: %w", err)
	}
	select {
	case p.news <- struct{}{}:
	default:
	}
	return nil
}

// Run delivers events until ctx ends.
func (p *Provider) Run(ctx context.Context) error {
	if p.c.Deliver == nil {
		return nil
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := p.deliver(ctx); err != nil && ctx.Err() == nil {
			p.c.Log.WarnContext(ctx, "events of the test provider are not delivered", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.news:
		case <-tick.C:
		}
	}
}

// deliver delivers what is due, once.
func (p *Provider) deliver(ctx context.Context) error {
	due, err := p.due(ctx)
	if err != nil {
		return err
	}
	for _, e := range due {
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		change := "UPDATE event SET times = times - 1 WHERE id = $1"
		args := []any{e.ID}
		if err := p.c.Deliver(ctx, p.Sign(body), body); err != nil {
			p.c.Log.InfoContext(ctx, "an event of the test provider was not taken", "event", e.ID, "error", err)
			change, args = "UPDATE event SET deliver_at = $2 WHERE id = $1", []any{e.ID, p.c.Now().Add(retry).UnixMicro()}
		}
		if _, err := p.db.ExecContext(ctx, change, args...); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provider) due(ctx context.Context) ([]event, error) {
	rows, err := p.db.QueryContext(ctx, "SELECT id, kind, key FROM event WHERE times > 0 AND deliver_at <= $1 ORDER BY deliver_at LIMIT 100",
		p.c.Now().UnixMicro())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []event
	for rows.Next() {
		var e event
		if err := rows.Scan(&e.ID, &e.Kind, &e.Key); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Sign returns the headers of an event with this body, signed now.
func (p *Provider) Sign(body []byte) map[string]string {
	at := strconv.FormatInt(p.c.Now().Unix(), 10)
	return map[string]string{SignatureHeader: "t=" + at + ",v1=" + hex.EncodeToString(p.mac(at, body))}
}

func (p *Provider) mac(at string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(p.c.Secret))
	_, _ = h.Write([]byte(at + ".")) // it never fails
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// ParseWebhook implements provider.Provider.
func (p *Provider) ParseWebhook(header map[string]string, body []byte) (provider.Event, error) {
	if len(body) > provider.MaxWebhook {
		return provider.Event{}, provider.ErrSignature
	}
	var at, signature string
	for part := range strings.SplitSeq(header[SignatureHeader], ",") {
		switch k, v, _ := strings.Cut(part, "="); k {
		case "t":
			at = v
		case "v1":
			signature = v
		}
	}
	sum, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(sum, p.mac(at, body)) {
		return provider.Event{}, provider.ErrSignature
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || p.c.Now().Sub(time.Unix(seconds, 0)).Abs() > provider.WebhookTolerance {
		return provider.Event{}, provider.ErrSignature
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" {
		return provider.Event{}, provider.ErrBadEvent
	}
	return provider.Event{ID: e.ID, Key: e.Key, Kind: e.Kind}, nil
}
