package cli

import (
	"strconv"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/config"
)

// accessShare reads the setting of the access log: whether there is one, and the share of good requests that are in it.
func accessShare(text string) (share float64, on bool, err error) {
	if text == "off" {
		return 0, false, nil
	}
	share, err = strconv.ParseFloat(text, 64)
	if err != nil || !(share >= 0 && share <= 1) { // NaN too
		return 0, false, config.Invalid("access.log", "%q is neither a share from 0 to 1 nor off", text)
	}
	return share, true, nil
}

// logged adds the access log to the configuration of a gateway.
func (a *app) logged(s settings, c api.Config) api.Config {
	if share, on, err := accessShare(s.Access.Log); err == nil && on { // validated
		c.AccessLog, c.AccessShare = a.env.Stdout, share
	}
	return c
}
