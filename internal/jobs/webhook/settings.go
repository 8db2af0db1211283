// Package webhook posts a job to its callback_url when it has ended.
//
// The queue delivers the id of a job; its record has the URL and the number of attempts. An attempt is one POST of the
// job as the API returns it, signed according to Standard Webhooks. The address is checked when the connection is
// made, so that no name, redirect or DNS response leads to an address that the guard forbids.
//
// The package does not depend on the queue, the store or the API; they are passed in.
package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Settings are the settings of webhooks. Secret is never logged or part of an error.
type Settings struct {
	Secret      string         `name:"callback-secret" env:"CALLBACK_SECRET" placeholder:"WHSEC" help:"Key that signs webhooks, the same for every API replica: whsec_ and 24 to 64 bytes in base64. Several keys, space-separated, all sign, so that a key can be replaced. Set it by the variable: a flag is visible in the process list. Empty (the default) refuses callback_url."`
	Generations map[string]int `name:"callback-generations" env:"CALLBACK_GENERATIONS" mapsep:"," placeholder:"GENERATIONS" help:"Generations of the signing secrets of tenants (comma-separated), such as acme=2,beta=3; 1 for all others. With the next number, a tenant has a new secret, and the one before signs too."`
	Allow       []netip.Prefix `name:"callback-allow" env:"CALLBACK_ALLOW" placeholder:"PREFIX" help:"Networks (CIDR, comma-separated) that webhooks may be sent to besides public addresses, such as 10.1.0.0/16."`
	Attempts    int            `name:"callback-attempts" env:"CALLBACK_ATTEMPTS" default:"7" help:"Maximum number of attempts to send a webhook (1 to 20)."`
	Pause       time.Duration  `name:"callback-pause" env:"CALLBACK_PAUSE" default:"5s" help:"Pause (duration) before the second attempt; each further one is three times as long, plus up to half of it at random. All together must fit into RESULT_TTL."`
	Timeout     time.Duration  `name:"callback-timeout" env:"CALLBACK_TIMEOUT" default:"10s" help:"Timeout (duration) of an attempt, from 100ms to 1m."`
	Concurrency int            `name:"callback-concurrency" env:"CALLBACK_CONCURRENCY" default:"8" help:"Number of webhooks that each API replica sends at once (1 to 256)."`
}

const (
	maxAttempts    = 20
	maxConcurrency = 256
	leastTimeout   = 100 * time.Millisecond
	maxTimeout     = time.Minute
	leastPause     = 10 * time.Millisecond
	// growth is the ratio of each pause to the one before.
	growth = 3
)

// Enabled reports whether there is a secret to sign with.
func (s Settings) Enabled() bool { return s.Secret != "" }

// Validate refuses invalid settings, and retries that would outlive a record that is kept for ttl. It checks nothing
// without a secret.
func (s Settings) Validate(ttl time.Duration) error {
	if !s.Enabled() {
		return nil
	}
	var errs []error
	if _, err := newSigner(s.Secret); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, checkGenerations(s.Generations))
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
	if errors.Join(errs...) == nil && !s.fitsInto(ttl) {
		errs = append(errs,
			fmt.Errorf("CALLBACK_ATTEMPTS and CALLBACK_PAUSE take longer than RESULT_TTL (%s), "+
				"after which the job is forgotten", ttl))
	}
	return errors.Join(errs...)
}

// fitsInto reports whether all attempts, with the longest pauses, end within ttl.
func (s Settings) fitsInto(ttl time.Duration) bool {
	left := ttl - s.Timeout
	for attempt := 1; attempt < s.Attempts; attempt++ {
		pause := s.basePause(attempt)
		if pause > left {
			return false // also prevents an overflow below
		}
		if left -= pause*3/2 + s.Timeout; left < 0 {
			return false
		}
	}
	return left >= 0
}

// basePause returns the pause after an attempt, counted from 1, without the random part.
func (s Settings) basePause(attempt int) time.Duration {
	pause := s.Pause
	for range attempt - 1 {
		if pause > 24*time.Hour {
			break // longer than any record is kept, and prevents an overflow
		}
		pause *= growth
	}
	return pause
}
