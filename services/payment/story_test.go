package payment_test

import "testing"

// Each story is told on each database. They share the module, its database and its clock, and have payments of their own.
func TestStories(t *testing.T) {
	each(t, func(t *testing.T, c *till) {
		for _, s := range stories() {
			t.Run(s.name, func(t *testing.T) { s.tell(t, c.in(t)) })
		}
	})
}

type story struct {
	name string
	tell func(t *testing.T, c *till)
}

func stories() []story {
	return []story{
		{"AuthorizeAndCapture", authorizeAndCapture},
		{"ADeclineHoldsNothing", aDeclineHoldsNothing},
		{"ALostAnswerIsAskedForAgain", aLostAnswerIsAskedForAgain},
		{"OneOrderIsChargedOnce", oneOrderIsChargedOnce},
		{"NothingIsAskedTwiceOfTheBank", nothingIsAskedTwiceOfTheBank},
		{"Refunds", refunds},
		{"WhatWasNotTakenIsNotGivenBack", whatWasNotTakenIsNotGivenBack},
		{"RefundsAtOnce", refundsAtOnce},
		{"ALostRefundIsOneRefund", aLostRefundIsOneRefund},
		{"ResolveAsksAndNeverGuesses", resolveAsksAndNeverGuesses},
		{"WhatNobodyAsksForIsSettled", whatNobodyAsksForIsSettled},
		{"AWebhookIsAnOccasionToAsk", aWebhookIsAnOccasionToAsk},
		{"ForgedAndStrangeWebhooks", forgedAndStrangeWebhooks},
		{"DiscrepanciesAreReported", discrepanciesAreReported},
		{"DiscrepanciesComeInPages", discrepanciesComeInPages},
	}
}
