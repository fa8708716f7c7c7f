package pay

import "time"

// Change moves a payment from one state to another.
type Change struct {
	ID string
	// From and FromVoiding are what the payment must be.
	From        State
	FromVoiding bool
	To          State
	// Voiding and Asked are what it is afterwards.
	Voiding bool
	Asked   Asked
	// Ref and DeclineCode are written when not empty.
	Ref, DeclineCode string
	At               time.Time
}

// On is p after the change, and whether it may be made to p. Money follows the state: what is authorised or captured, is so as a
// whole.
func (c Change) On(p Payment) (Payment, bool) {
	if p.ID != c.ID || p.State != c.From || p.Voiding != c.FromVoiding {
		return p, false
	}
	p.State, p.Voiding, p.Asked, p.UpdateTime = c.To, c.Voiding, c.Asked, c.At
	if c.Ref != "" {
		p.ProviderRef = c.Ref
	}
	if c.DeclineCode != "" {
		p.DeclineCode = c.DeclineCode
	}
	switch c.To {
	case Authorized:
		p.Authorized = p.Amount.Minor
	case Captured:
		p.Authorized, p.Captured = p.Amount.Minor, p.Amount.Minor
	case Pending, Voided, Declined:
	}
	return p, true
}
