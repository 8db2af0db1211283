package store

import (
	"fmt"
	"maps"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// Offer is what jobs a worker takes.
type Offer struct {
	// MaxLimits are the limits above which it takes no job; zero for none.
	MaxLimits jobs.RequestedLimits
	// Environments are the hashes of its environments, by name. A worker that reports none has the default.
	Environments map[string]string
	// Report is what it reports of itself; nil for a worker of an earlier version.
	Report *Report
	// Changed reports to Heartbeat that the limits or the environments may differ from those that the worker reported
	// before. It is not stored.
	Changed bool
}

// Has reports whether the worker takes jobs of an environment; "" is the default.
func (o Offer) Has(environment string) bool {
	if environment == "" {
		environment = jobs.DefaultEnvironment
	}
	_, has := o.Environments[environment]
	return has
}

// Fleet is what the live workers take that are not draining.
type Fleet []Offer

// Limits returns the maximum limits of the workers that take jobs of an environment, zero for unknown ones.
func (f Fleet) Limits(environment string) []jobs.RequestedLimits {
	limits := make([]jobs.RequestedLimits, 0, len(f))
	for _, offer := range f {
		if offer.Has(environment) {
			limits = append(limits, offer.MaxLimits)
		}
	}
	return limits
}

// storedOffer is the stored form of an Offer. Its limits are where an earlier version stored them alone.
type storedOffer struct {
	storedLimits
	Environments map[string]string `json:"environments,omitzero"`
	// Worker is what an earlier version neither stores nor reads.
	Worker *storedReport `json:"worker,omitzero"`
}

// encodeOffer returns the stored form of an offer, with the TTL of the worker's heartbeats.
func encodeOffer(offer Offer, ttl time.Duration) (string, error) {
	if len(offer.Environments) == 0 && offer.Report == nil {
		return encodeLimits(offer.MaxLimits, false)
	}
	encoded, err := json.Marshal(storedOffer{
		storedLimits: toStoredLimits(offer.MaxLimits, false), Environments: offer.Environments,
		Worker: toStoredReport(offer.Report, ttl),
	}, json.Deterministic(true))
	return string(encoded), err
}

func decodeOffer(stored string) (Offer, error) {
	offer, _, err := decodeReport(stored)
	return offer, err
}

// decodeReport returns an offer, and the TTL of the worker's heartbeats. After an error they are those of a worker that
// has reported nothing.
func decodeReport(stored string) (offer Offer, ttl time.Duration, err error) {
	var decoded storedOffer
	if stored != "" {
		if err := json.Unmarshal([]byte(stored), &decoded); err != nil {
			return Offer{}, defaultTTL, fmt.Errorf("decode what a worker takes: %w", err)
		}
	}
	limits, err := decoded.decode()
	offer, ttl = Offer{MaxLimits: limits, Environments: maps.Clone(decoded.Environments)}, defaultTTL
	if len(offer.Environments) == 0 {
		offer.Environments = map[string]string{jobs.DefaultEnvironment: ""}
	}
	if worker := decoded.Worker; worker != nil {
		offer.Report = &Report{Version: worker.Version, Places: worker.Places, Ready: worker.Ready}
		if worker.StartedAt > 0 {
			offer.Report.StartedAt = time.UnixMicro(worker.StartedAt).UTC()
		}
		if worker.TTL > 0 {
			ttl = time.Duration(worker.TTL) * time.Millisecond
		}
	}
	return offer, ttl, err
}
