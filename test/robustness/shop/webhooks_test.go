package shop

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/services/payment/testprovider"
	"github.com/cleavehq/cleave/test/harness"
)

// hooked are customers whose provider says everything twice, late, or the last first.
func hooked(r *rand.Rand) visit {
	v := choose(r)
	v.token = []string{"tok_webhook_twice", "tok_webhook_late_400", "tok_webhook_late_2500", "tok_webhook_disorder", "tok_timeout_after_charge"}[r.IntN(5)]
	return v
}

// startWebhooks has the provider tell the shop of everything that it did, also while the module that listens dies.
func startWebhooks(t *testing.T, w *world) {
	w.env["payment"] = []string{
		"CLEAVE_TEST_PROVIDER_WEBHOOK=" + w.Base + "/v1/payments/webhooks/test", "CLEAVE_TEST_PROVIDER_SECRET=whsec_of_a_test",
	}
	for range 3 {
		w.kill9("payment")
		lull(t, 4*time.Second)
	}
}

// webhooksCame checks that there were events of each kind, and that the shop has taken every one.
func webhooksCame(t *testing.T, w *world) {
	db, err := data.OpenReader(t.Context(), data.Config{Dir: w.bank, Module: testprovider.File})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, word := range []string{"webhook_twice", "webhook_late_400", "webhook_late_2500", "webhook_disorder"} {
		var events, untaken int
		harness.Eventually(t, time.Minute, "the shop takes every event of "+word, func() bool {
			err = db.QueryRowContext(t.Context(), `SELECT COUNT(*), COALESCE(SUM(e.times), 0) FROM event e JOIN charge c ON c.key = e.key
				WHERE c.behaviour = $1`, word).Scan(&events, &untaken)
			return err != nil || untaken == 0
		})
		w.timeline.notef("%d events of %s were taken", events, word)
		if err != nil || events == 0 {
			t.Errorf("%s: %d events were delivered, %v", word, events, err)
		}
	}
}

func stopWebhooks(w *world) {
	delete(w.env, "payment")
	w.kill9("payment")
}
