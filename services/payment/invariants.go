package payment

import "github.com/cleavehq/cleave/chassis/verify"

// Invariants are the laws of the module's data. The last two hold when nothing is under way.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "one_payment_per_order",
			Law:  "an order has one payment at most",
			SQL:  "SELECT order_id, COUNT(*) AS payments FROM payment GROUP BY order_id HAVING COUNT(*) > 1 ORDER BY order_id",
		},
		{
			Name: "amounts_in_bounds",
			Law:  "0 <= refunded + refunding <= captured <= authorized <= the amount of a payment",
			SQL: `SELECT id, minor, authorized, captured, refunded, refunding FROM payment
				WHERE refunded < 0 OR refunding < 0 OR refunded + refunding > captured OR captured > authorized OR authorized > minor ORDER BY id`,
		},
		{
			Name: "state_says_the_amounts",
			Law:  "captured is captured as a whole, and of what is declined, voided or pending nothing is captured",
			SQL: `SELECT id, state, minor, authorized, captured FROM payment
				WHERE state = 'captured' AND captured <> minor OR state = 'authorized' AND (authorized <> minor OR captured <> 0)
				OR state IN ('pending', 'declined', 'voided') AND captured <> 0 ORDER BY id`,
		},
		{
			Name: "ledger_balances",
			Law:  "in every transaction of the ledger debit and credit have one sum",
			SQL: `SELECT transaction_id, currency, SUM(debit) AS debit, SUM(credit) AS credit FROM ledger_entries
				GROUP BY transaction_id, currency HAVING SUM(debit) <> SUM(credit) ORDER BY transaction_id`,
		},
		{
			Name: "ledger_says_the_amounts",
			Law:  "what the ledger has of a payment is what the payment says",
			SQL: `SELECT p.id, p.state, p.captured, p.refunded, COALESCE(l.held, 0) AS ledger_held, COALESCE(l.earned, 0) AS ledger_captured,
				COALESCE(l.refunded, 0) AS ledger_refunded
				FROM payment p LEFT JOIN (
					SELECT payment_id,
						SUM(CASE account WHEN 'provider:held' THEN debit - credit ELSE 0 END) AS held,
						SUM(CASE account WHEN 'revenue' THEN credit - debit ELSE 0 END) AS earned,
						SUM(CASE account WHEN 'refunds' THEN debit - credit ELSE 0 END) AS refunded
					FROM ledger_entries GROUP BY payment_id
				) l ON l.payment_id = p.id
				WHERE COALESCE(l.held, 0) <> CASE p.state WHEN 'authorized' THEN p.authorized ELSE 0 END
				OR COALESCE(l.earned, 0) <> p.captured OR COALESCE(l.refunded, 0) <> p.refunded ORDER BY p.id`,
		},
		{
			Name: "refunds_say_the_amounts",
			Law:  "the refunds of a payment are what it says was given back, and what is under way",
			SQL: `SELECT p.id, p.refunded, p.refunding, COALESCE(r.done, 0) AS refunds_done, COALESCE(r.pending, 0) AS refunds_pending
				FROM payment p LEFT JOIN (
					SELECT payment_id,
						SUM(CASE state WHEN 'succeeded' THEN minor ELSE 0 END) AS done,
						SUM(CASE state WHEN 'pending' THEN minor ELSE 0 END) AS pending
					FROM refund GROUP BY payment_id
				) r ON r.payment_id = p.id
				WHERE COALESCE(r.done, 0) <> p.refunded OR COALESCE(r.pending, 0) <> p.refunding ORDER BY p.id`,
		},
		{
			Name: "provider_agrees",
			Law:  "the provider says of no payment otherwise than the ledger",
			SQL:  "SELECT payment_id, what, ledger_minor, provider_minor FROM discrepancy ORDER BY payment_id, what",
		},
		{
			Name: "no_stray_charges",
			Law:  "the provider keeps no money that no payment knows",
			SQL: `SELECT provider, ref, key, order_id, currency, minor, remedy, made_at, found_at FROM stray_charge
				WHERE settled_at = 0 ORDER BY provider, ref`,
		},
		{
			Name: "answers_came",
			Law:  "no payment and no refund waits for an answer of the provider",
			SQL:  "SELECT id, state, asked, refunding FROM payment WHERE state = 'pending' OR asked <> '' OR refunding > 0 ORDER BY id",
		},
	}
}
