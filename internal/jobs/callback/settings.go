// Package callback posts to a URL that a job has ended.
//
// The queue hands over the id of a job; the record says where to and how often
// that was tried. One attempt is one POST of the job as the API would give it,
// signed as Standard Webhooks says. What is connected to is checked when the
// connection is made, by the address that it goes to, so that no name, redirect
// or answer of a name server leads to a place that the guard does not allow.
//
// The package knows neither the queue nor the store nor the words of the API;
// they are handed in.
package callback

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Settings of the callbacks. Secret is one: it is never logged, and no error has
// any of it.
type Settings struct {
	Secret      string         `name:"callback-secret" env:"CALLBACK_SECRET" placeholder:"WHSEC" help:"What callbacks are signed with: whsec_ and 24 to 64 bytes in base64; several by space, of which each signs, to change it. Better given as the variable: a flag shows in the process list. Empty (the default) refuses callback_url. The same for every API replica."`
	Allow       []netip.Prefix `name:"callback-allow" env:"CALLBACK_ALLOW" placeholder:"PREFIX" help:"Networks (CIDR, by comma) that callbacks may go to besides public addresses, such as 10.1.0.0/16."`
	Attempts    int            `name:"callback-attempts" env:"CALLBACK_ATTEMPTS" default:"7" help:"How often a callback is sent until it has failed (1 to 20)."`
	Pause       time.Duration  `name:"callback-pause" env:"CALLBACK_PAUSE" default:"5s" help:"The pause (duration) before the second attempt; each further one is three times as long, and up to half of it is added at random. All of them must fit into RESULT_TTL."`
	Timeout     time.Duration  `name:"callback-timeout" env:"CALLBACK_TIMEOUT" default:"10s" help:"How long (duration) an attempt may take in all, from 100ms to 1m."`
	Concurrency int            `name:"callback-concurrency" env:"CALLBACK_CONCURRENCY" default:"8" help:"How many callbacks each API replica sends at once (1 to 256)."`
}

const (
	maxAttempts    = 20
	maxConcurrency = 256
	leastTimeout   = 100 * time.Millisecond
	maxTimeout     = time.Minute
	leastPause     = 10 * time.Millisecond
	// growth is how much longer each pause is than the one before.
	growth = 3
)

// Enabled tells whether there is something to sign with.
func (s Settings) Enabled() bool { return s.Secret != "" }

// Validate refuses settings that make no sense, and those whose retries would
// outlive a record that is kept for ttl. Without a secret nothing is checked.
func (s Settings) Validate(ttl time.Duration) error {
	if !s.Enabled() {
		return nil
	}
	var errs []error
	if _, err := newSigner(s.Secret); err != nil {
		errs = append(errs, err)
	}
	if s.Attempts < 1 || s.Attempts > maxAttempts {
		errs = append(errs, fmt.Errorf("CALLBACK_ATTEMPTS must be from 1 to %d", maxAttempts))
	}
	if s.Timeout < leastTimeout || s.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("CALLBACK_TIMEOUT must be from %s to %s", leastTimeout, maxTimeout))
	}
	if s.Concurrency < 1 || s.Concurrency > maxConcurrency {
		errs = append(errs, fmt.Errorf("CALLBACK_CONCURRENCY must be from 1 to %d", maxConcurrency))
	}
	if s.Pause < leastPause {
		errs = append(errs, fmt.Errorf("CALLBACK_PAUSE must be at least %s", leastPause))
	}
	if len(errs) == 0 && !s.fitsInto(ttl) {
		errs = append(errs, fmt.Errorf("CALLBACK_ATTEMPTS and CALLBACK_PAUSE take longer than RESULT_TTL (%s), after which the job is forgotten", ttl))
	}
	return errors.Join(errs...)
}

// fitsInto tells whether all pauses, at their longest, and attempts are over
// within ttl.
func (s Settings) fitsInto(ttl time.Duration) bool {
	left := ttl - s.Timeout
	for attempt := 1; attempt < s.Attempts; attempt++ {
		pause := s.basePause(attempt)
		if pause > left {
			return false // and nothing overflows below
		}
		if left -= pause*3/2 + s.Timeout; left < 0 {
			return false
		}
	}
	return left >= 0
}

// basePause is how long to wait after that attempt, counted from 1, before
// anything is added at random.
func (s Settings) basePause(attempt int) time.Duration {
	pause := s.Pause
	for range attempt - 1 {
		if pause > 24*time.Hour {
			break // longer than any record is kept; and it must not overflow
		}
		pause *= growth
	}
	return pause
}
