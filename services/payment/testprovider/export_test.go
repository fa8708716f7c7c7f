package testprovider

import "github.com/cleavehq/cleave/services/payment/provider"

// Drawn is what a token does with a key.
func (p *Provider) Drawn(token provider.Token, key string) string { return p.ofToken(token, key).word }
