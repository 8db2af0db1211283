package store

import (
	"fmt"
	"maps"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// Offer is what jobs a worker takes.
type Offer struct {
	// MaxLimits are the limits above which it takes no job; zero for none.
	MaxLimits jobs.RequestedLimits
	// Environments are the hashes of its environments, by name. A worker that reports none has the default.
	Environments map[string]string
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
}

func encodeOffer(offer Offer) (string, error) {
	if len(offer.Environments) == 0 {
		return encodeLimits(offer.MaxLimits, false)
	}
	encoded, err := json.Marshal(storedOffer{
		storedLimits: toStoredLimits(offer.MaxLimits, false), Environments: offer.Environments,
	}, json.Deterministic(true))
	return string(encoded), err
}

func decodeOffer(stored string) (Offer, error) {
	var decoded storedOffer
	if stored != "" {
		if err := json.Unmarshal([]byte(stored), &decoded); err != nil {
			return Offer{}, fmt.Errorf("decode what a worker takes: %w", err)
		}
	}
	limits, err := decoded.decode()
	offer := Offer{MaxLimits: limits, Environments: maps.Clone(decoded.Environments)}
	if len(offer.Environments) == 0 {
		offer.Environments = map[string]string{jobs.DefaultEnvironment: ""}
	}
	return offer, err
}
