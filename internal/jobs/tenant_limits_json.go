package jobs

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tenantLimitFields are the fields of TenantLimits as JSON.
var tenantLimitFields = []string{
	"weight", "requests_per_second", "burst", "open_jobs", "running_jobs", "largest", "cpu_seconds_per_day",
	"environments",
}

const (
	// maxWeight is the largest share of a tenant.
	maxWeight = 100
	// maxCount bounds the numbers of jobs and of requests.
	maxCount = 1e6
	// leastRate is the lowest rate of requests: one in about a quarter of an hour.
	leastRate = 0.001
	// leastCPUPerDay is the shortest processor time in a day, in seconds.
	leastCPUPerDay = 0.1
	// maxTenantEnvironments bounds the list of environments.
	maxTenantEnvironments = 64
)

// DecodeTenantLimits decodes and checks limits of a tenant, which have the same form in the contract, in Redis and in
// API_KEYS_FILE. name is that of the object, for messages. Its errors have CodeInvalidRequest.
func DecodeTenantLimits(name string, value jsontext.Value) (TenantLimits, error) {
	var limits TenantLimits
	err := eachMember(name, value, func(member string, value jsontext.Value) error {
		return setTenantLimit(&limits, name, member, value)
	})
	return limits, err
}

func setTenantLimit(l *TenantLimits, object, name string, value jsontext.Value) (err error) {
	full := object + "." + name
	switch name {
	case "weight":
		l.Weight, err = decodeCount(full, value, maxWeight)
	case "requests_per_second":
		l.RequestsPerSecond, err = decodeBound(full, value, leastRate, maxCount)
	case "burst":
		l.Burst, err = decodeCount(full, value, maxCount)
	case "open_jobs":
		l.OpenJobs, err = decodeCountBound(full, value)
	case "running_jobs":
		l.RunningJobs, err = decodeCountBound(full, value)
	case "largest":
		l.Largest, err = decodeLimits(full, value)
	case "cpu_seconds_per_day":
		var seconds float64
		seconds, err = decodeBound(full, value, leastCPUPerDay, maxRequested)
		l.CPUPerDay = inDuration(seconds)
	case "environments":
		l.Environments, err = decodeEnvironments(full, value)
	default:
		return Unknown(object, "field", name, tenantLimitFields)
	}
	return err
}

// noBound is the number for no bound, over the default of the settings.
const noBound = -1

// decodeBound decodes a number from least to most, or noBound.
func decodeBound(name string, value jsontext.Value, least, most float64) (float64, error) {
	number, err := decodeAmount(name, value, least, most)
	if err != nil && value.Kind() == jsontext.KindNumber {
		if other, parseErr := parseNumber(value); parseErr == nil && other == noBound {
			return noBound, nil
		}
		err = Errorf(CodeInvalidRequest, "%s must be a number from %s to %s, or %d for no bound", quoteName(name),
			plainNumber(least), plainNumber(most), noBound)
	}
	return number, err
}

// decodeCountBound decodes a whole number of jobs, or noBound.
func decodeCountBound(name string, value jsontext.Value) (int, error) {
	number, err := decodeBound(name, value, 1, maxCount)
	if err == nil && number != math.Trunc(number) {
		err = Errorf(CodeInvalidRequest, "%s must be a whole number", quoteName(name))
	}
	return int(number), err
}

// decodeCount decodes a whole number from 1 to most.
func decodeCount(name string, value jsontext.Value, most float64) (int, error) {
	number, err := decodeAmount(name, value, 1, most)
	if err == nil && number != math.Trunc(number) {
		err = Errorf(CodeInvalidRequest, "%s must be a whole number", quoteName(name))
	}
	return int(number), err
}

// decodeAmount decodes a number from least to most.
func decodeAmount(name string, value jsontext.Value, least, most float64) (float64, error) {
	if value.Kind() != jsontext.KindNumber {
		return 0, Errorf(CodeInvalidRequest, "%s must be a number, not %s", quoteName(name), kindName(value.Kind()))
	}
	number, err := parseNumber(value)
	if err != nil || number < least || number > most {
		return 0, Errorf(CodeInvalidRequest, "%s must be a number from %s to %s", quoteName(name), plainNumber(least),
			plainNumber(most))
	}
	return number, nil
}

// parseNumber returns an error for a number that is too large for a float.
func parseNumber(value jsontext.Value) (number float64, err error) {
	err = json.Unmarshal(value, &number)
	return number, err
}

func decodeEnvironments(name string, value jsontext.Value) ([]string, error) {
	environments, err := decodeTexts[string](name, value)
	if err != nil {
		return nil, err
	}
	if len(environments) == 0 || len(environments) > maxTenantEnvironments {
		return nil, Errorf(CodeInvalidRequest, "%s must have 1 to %d names; leave it out to allow all environments",
			quoteName(name), maxTenantEnvironments)
	}
	for i, environment := range environments {
		switch {
		case !IsEnvironmentName(environment):
			return nil, Errorf(CodeInvalidRequest, "%s has %s, which is no name of an environment", quoteName(name),
				quoteName(environment))
		case slices.Contains(environments[:i], environment):
			return nil, Errorf(CodeInvalidRequest, "%s has %q twice", quoteName(name), environment)
		}
	}
	return environments, nil
}

// decodeTexts decodes an array of strings of valid Unicode.
func decodeTexts[T ~string](name string, value jsontext.Value) ([]T, error) {
	if value.Kind() != jsontext.KindBeginArray {
		return nil, Errorf(CodeInvalidRequest, "%s must be an array of strings, not %s", quoteName(name),
			kindName(value.Kind()))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return nil, notJSON(err, len(value))
	}
	texts := []T{}
	for dec.PeekKind() != jsontext.KindEndArray {
		element, err := dec.ReadValue()
		if err != nil {
			return nil, notJSON(err, len(value))
		}
		text, err := decodeText(name, element)
		if err != nil {
			return nil, err
		}
		texts = append(texts, T(strings.Clone(text)))
	}
	return texts, nil
}

// tenantLimitsJSON is TenantLimits as JSON.
type tenantLimitsJSON struct {
	Weight            int          `json:"weight,omitzero"`
	RequestsPerSecond float64      `json:"requests_per_second,omitzero"`
	Burst             int          `json:"burst,omitzero"`
	OpenJobs          int          `json:"open_jobs,omitzero"`
	RunningJobs       int          `json:"running_jobs,omitzero"`
	Largest           *largestJSON `json:"largest,omitzero"`
	CPUSecondsPerDay  float64      `json:"cpu_seconds_per_day,omitzero"`
	Environments      []string     `json:"environments,omitempty"`
}

type largestJSON struct {
	WallSeconds float64 `json:"wall_seconds,omitzero"`
	CPUSeconds  float64 `json:"cpu_seconds,omitzero"`
	MemoryMB    float64 `json:"memory_mb,omitzero"`
	Processes   int     `json:"processes,omitzero"`
	OutputBytes int64   `json:"output_bytes,omitzero"`
}

// EncodeTenantLimits returns the limits as JSON: an object without the fields that are zero. DecodeTenantLimits decodes
// it.
func EncodeTenantLimits(l TenantLimits) (jsontext.Value, error) {
	body := tenantLimitsJSON{
		Weight: l.Weight, RequestsPerSecond: l.RequestsPerSecond, Burst: l.Burst,
		OpenJobs: l.OpenJobs, RunningJobs: l.RunningJobs, CPUSecondsPerDay: l.CPUPerDay.Seconds(),
		Environments: l.Environments,
	}
	if most := l.Largest; most != (RequestedLimits{}) {
		body.Largest = &largestJSON{
			WallSeconds: most.Wall.Seconds(), CPUSeconds: most.CPU.Seconds(),
			MemoryMB: float64(most.MemoryBytes) / mib, Processes: most.Processes, OutputBytes: most.OutputBytes,
		}
	}
	return json.Marshal(body)
}

// IsZero reports whether there are no limits.
func (l TenantLimits) IsZero() bool {
	return l.Weight == 0 && l.RequestsPerSecond == 0 && l.Burst == 0 && l.OpenJobs == 0 && l.RunningJobs == 0 &&
		l.Largest == (RequestedLimits{}) && l.CPUPerDay == time.Duration(0) && len(l.Environments) == 0
}
