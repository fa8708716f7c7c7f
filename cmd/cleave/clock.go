package main

import (
	"fmt"
	"os"
	"time"
)

// clockSkew, for a test of the shop, is how far the clock of this process's modules is ahead, such as 90s; -90s is behind. Timers run as ever.
const clockSkew = "CLEAVE_TEST_CLOCK_SKEW"

// clock is the modules' clock; nil for the machine's own.
func clock() (func() time.Time, error) {
	text := os.Getenv(clockSkew)
	if text == "" {
		return nil, nil //nolint:nilnil // as it says
	}
	skew, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no time, such as 90s or -90s", clockSkew, text)
	}
	return func() time.Time { return time.Now().Add(skew) }, nil
}
