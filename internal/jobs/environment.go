package jobs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// DefaultEnvironment is the name of the environment of a job that names none. Every worker has it. In a Job and in what
// is derived from it, "" stands for it.
const DefaultEnvironment = "default"

// Environment describes an environment: a named, read-only Python with packages. Workers store it in Redis as JSON.
type Environment struct {
	Name string `json:"name"`
	// Hash distinguishes versions of the same name: 64 hexadecimal digits, or "" if it is unknown.
	Hash string `json:"hash,omitzero"`
	// Description is a text for clients, "" for none, and Python the version of the interpreter, such as "3.11.2".
	Description string `json:"description,omitzero"`
	Python      string `json:"python,omitzero"`
	// Packages are sorted by name.
	Packages []Package `json:"packages,omitzero"`
}

// Package is a distribution that an environment has.
type Package struct {
	// Name is normalized as on PyPI: "scikit-learn".
	Name    string `json:"name"`
	Version string `json:"version"`
	// Imports are the names of its top-level modules: "sklearn".
	Imports []string `json:"imports,omitzero"`
}

// EnvironmentStatus is an environment and who has it now.
type EnvironmentStatus struct {
	Environment

	// Hashes are those of the versions that live workers have, or of the last known version if none has any.
	Hashes []string
	// Workers is the number of live workers that have it and take jobs.
	Workers int
	// Limits are those of a job that asks for none, and MaxLimits the most that a request may ask for, of each by
	// itself; zero without a worker.
	Limits, MaxLimits RequestedLimits
}

// CompareEnvironments orders names: the default first, the others by name.
func CompareEnvironments(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == DefaultEnvironment:
		return -1
	case b == DefaultEnvironment:
		return 1
	default:
		return strings.Compare(a, b)
	}
}

// environmentPattern is also the pattern of the field in api/openapi.yaml.
var environmentPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// IsEnvironmentName reports whether name can be the name of an environment.
func IsEnvironmentName(name string) bool { return environmentPattern.MatchString(name) }

func decodeEnvironment(value jsontext.Value) (string, error) {
	name, err := decodeText("environment", value)
	if err != nil {
		return "", err
	}
	if !IsEnvironmentName(name) {
		return "", Errorf(CodeInvalidRequest, `"environment" is %s; a name has 1 to 63 lower case letters, digits and `+
			`hyphens, and does not begin with a hyphen`, quoteName(name))
	}
	return name, nil
}

// UnknownEnvironment returns the error for an environment that no worker has or had lately; known are those that there
// are.
func UnknownEnvironment(name string, known []string) error {
	names := slices.SortedFunc(slices.Values(known), CompareEnvironments)
	there := strings.Join(names, ", ")
	if there == "" {
		return Errorf(CodeUnknownEnvironment, "there is no environment %q", name)
	}
	if near := nearest(name, names); near != "" {
		return Errorf(CodeUnknownEnvironment, "there is no environment %q; did you mean %q? There are: %s", name, near,
			there)
	}
	return Errorf(CodeUnknownEnvironment, "there is no environment %q; there are: %s", name, there)
}

// NoDefaultEnvironment returns the error for a request that names no environment, of a tenant whose jobs may have these
// only.
func NoDefaultEnvironment(allowed []string) error {
	return Errorf(CodeUnknownEnvironment, `the jobs of your tenant cannot have the environment %q; name one in `+
		`"environment": %s`, DefaultEnvironment, strings.Join(allowed, ", "))
}

// EnvironmentOf returns the name of a job's environment.
func (j Job) EnvironmentOf() string {
	if j.Environment == "" {
		return DefaultEnvironment
	}
	return j.Environment
}

// Route selects where a job waits for a worker, and its turn.
type Route struct {
	// Priority is PriorityDefault if it is "".
	Priority Priority
	// Environment is "" for the default.
	Environment string
	// Tenant is Operator if it is "", and BatchID that of the job's batch, "" for none.
	Tenant  Tenant
	BatchID string
	// Weight and MaxRunning are those of Job.
	Weight, MaxRunning int
}

// Route returns the job's route.
func (j Job) Route() Route {
	return Route{
		Priority: j.Priority, Environment: j.Environment, Tenant: j.Tenant, BatchID: j.BatchItem.BatchID,
		Weight: j.Weight, MaxRunning: j.MaxRunning,
	}
}

// WithoutEnvironment is the message of CodeNotStarted for a job whose environment no live worker has.
func WithoutEnvironment(name string) string {
	return fmt.Sprintf("no worker has the environment %q; the job was withdrawn at its start deadline and did not run",
		name)
}
