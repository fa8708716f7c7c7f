package pay

import "time"

// When the reconciler looks at a payment.
const (
	// patience is how long an answer of the provider is waited for: longer than the longest call.
	patience = 30 * time.Second
	// compareAfter is how long after its last change a payment is compared with the provider.
	compareAfter = 10 * time.Minute
	// holdCheck is how often a hold is looked at, since holds lapse.
	holdCheck = 24 * time.Hour
	// lateHold is how long after its making a voided payment may still get a hold, from a request that was on its way.
	lateHold = 24 * time.Hour
	// maxBackoff bounds the time between two looks at something that does not get settled.
	maxBackoff = time.Hour
)

// Due is when the reconciler is to look at p, which has just changed; zero for never.
func Due(p Payment) time.Time {
	switch {
	case !p.settled():
		return p.UpdateTime.Add(patience)
	case p.State == Authorized:
		return p.UpdateTime.Add(holdCheck)
	case p.State == Captured, p.State == Voided && p.ProviderRef == "":
		return p.UpdateTime.Add(compareAfter)
	default:
		return time.Time{}
	}
}

// Again is when it is to look at p again, at which it looks now; zero for never.
func Again(p Payment, differs bool, now time.Time) time.Time {
	wait := min(max(now.Sub(p.UpdateTime), patience), maxBackoff)
	switch {
	case !p.settled(), differs:
		return now.Add(wait)
	case p.State == Authorized:
		return now.Add(holdCheck)
	case p.State == Voided && p.ProviderRef == "" && now.Sub(p.CreateTime) < lateHold:
		return now.Add(max(wait, compareAfter))
	default:
		return time.Time{}
	}
}
