package pay

// Account is an account of the ledger.
type Account string

// The accounts. Debit raises what the shop has or spends, credit what it owes or earns.
//
//	what happened         debit                credit
//	authorized            provider:held        customer:promised
//	captured              customer:promised    provider:held
//	                      provider:balance     revenue
//	voided                customer:promised    provider:held
//	refunded              refunds              provider:balance
//
// So the balance of provider:held is the money on hold, that of provider:balance is the money the provider has of ours, and
// revenue less refunds is the same. A payment that is captured without having been seen as authorised is posted without the hold.
const (
	// ProviderHeld is money that a provider holds for the shop, and has not taken.
	ProviderHeld Account = "provider:held"
	// CustomerPromised is the other side of it: nothing is earned by a hold.
	CustomerPromised Account = "customer:promised"
	// ProviderBalance is money that a provider has taken for the shop.
	ProviderBalance Account = "provider:balance"
	Revenue         Account = "revenue"
	Refunds         Account = "refunds"
)

// Posting is an amount, in minor units, more than 0, that goes to the debit of one account and the credit of another: whatever is
// made of postings sums to zero.
type Posting struct {
	Debit, Credit Account
	Minor         int64
}

// Postings is what the ledger has to say of a change of a payment. No account is in two of them on the same side.
func Postings(before, after Payment) []Posting {
	var out []Posting
	post := func(debit, credit Account, minor int64) {
		if minor < 0 {
			debit, credit, minor = credit, debit, -minor
		}
		if minor > 0 {
			out = append(out, Posting{Debit: debit, Credit: credit, Minor: minor})
		}
	}
	post(ProviderHeld, CustomerPromised, held(after)-held(before))
	post(ProviderBalance, Revenue, after.Captured-before.Captured)
	post(Refunds, ProviderBalance, after.Refunded-before.Refunded)
	return out
}

func held(p Payment) int64 {
	if p.State == Authorized {
		return p.Authorized
	}
	return 0
}

// Balance is what the ledger says of one payment, in minor units.
type Balance struct{ Held, Captured, Refunded int64 }
