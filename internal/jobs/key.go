package jobs

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// KeyState is whether a key can be used.
type KeyState string

// The states of keys.
const (
	KeyActive  KeyState = "active"
	KeyExpired KeyState = "expired"
	KeyRevoked KeyState = "revoked"
)

// Key describes a key of a tenant. It has nothing from which the key itself could be derived.
type Key struct {
	// ID names the key for people and in logs.
	ID     string
	Tenant Tenant
	// Name is a note for people, "" for none.
	Name   string
	Scopes []Scope
	Limits TenantLimits
	State  KeyState
	// CreatedAt is from Redis's clock, and so are the others: when the key ends by itself and when it was revoked, zero
	// for never.
	CreatedAt, ExpiresAt, RevokedAt time.Time
}

// KeyIDPrefix begins each id of a key.
const KeyIDPrefix = "k_"

var keyIDPattern = regexp.MustCompile(`^` + KeyIDPrefix + `[a-z2-7]{10}$`)

// ParseKeyID converts the id of a key to lower case, and reports whether text has the form of one. No key has it.
func ParseKeyID(text string) (id string, ok bool) {
	id = strings.ToLower(text)
	return id, keyIDPattern.MatchString(id)
}

// Caller returns who makes a request with the key. It shares the key's slices.
func (k Key) Caller() Caller {
	return Caller{Tenant: k.Tenant, KeyID: k.ID, Scopes: k.Scopes, Limits: k.Limits}
}

// KeySpec is what a new key is for.
type KeySpec struct {
	Tenant Tenant
	Name   string
	Scopes []Scope
	Limits TenantLimits
	// Lifetime is until when the key can be used, from its creation; 0 for no end.
	Lifetime time.Duration
}

const (
	// maxKeyName bounds the name of a key, in characters.
	maxKeyName = 100
	// leastKeyLifetime is the shortest lifetime of a key, and maxKeyLifetime the longest, also of the grace of a
	// rotation.
	leastKeyLifetime = time.Second
	maxKeyLifetime   = 100 * 365 * 24 * time.Hour
	// DefaultKeyGrace is how long a key can be used after its rotation, if the request has no other time.
	DefaultKeyGrace = 24 * time.Hour
)

// Validate returns an error with CodeInvalidRequest for a key that there cannot be. Keys of customers have neither
// ScopeAdmin nor ScopeMetrics: both reach what belongs to others.
func (s KeySpec) Validate() error {
	if !IsTenantName(string(s.Tenant)) {
		return Errorf(CodeInvalidRequest, `"tenant" must have 1 to 63 lower case letters, digits and hyphens, and not `+
			`begin with a hyphen`)
	}
	if len(s.Scopes) == 0 {
		return Errorf(CodeInvalidRequest, `"scopes" must have at least one of %s`, scopeNames())
	}
	for i, scope := range s.Scopes {
		switch {
		case !slices.Contains(Scopes(), scope):
			return Errorf(CodeInvalidRequest, `"scopes" has %s; there are %s`, quoteName(string(scope)), scopeNames())
		case slices.Contains(s.Scopes[:i], scope):
			return Errorf(CodeInvalidRequest, `"scopes" has %q twice`, scope)
		case s.Tenant != Operator && (scope == ScopeAdmin || scope == ScopeMetrics):
			return Errorf(CodeInvalidRequest, `the scope %q reaches what belongs to all tenants, so only keys of the `+
				`tenant %q can have it`, scope, Operator)
		}
	}
	if utf8.RuneCountInString(s.Name) > maxKeyName || strings.ContainsFunc(s.Name, unicode.IsControl) {
		return Errorf(CodeInvalidRequest, `"name" must have at most %d characters, and no control characters`,
			maxKeyName)
	}
	return nil
}

func scopeNames() string {
	names := make([]string, len(Scopes()))
	for i, scope := range Scopes() {
		names[i] = string(scope)
	}
	return strings.Join(names, ", ")
}

// keyFields are the fields of a request for a key.
var keyFields = []string{"tenant", "scopes", "name", "expires_in_seconds", "limits"}

// DecodeKeySpec decodes and checks a request for a key. Its errors have CodeInvalidRequest.
func DecodeKeySpec(body []byte) (KeySpec, error) {
	var spec KeySpec
	seen, err := decodeObject(body, `a JSON object with "tenant" and "scopes"`,
		func(name string, value jsontext.Value) error { return setKeyField(&spec, name, value) })
	switch {
	case err != nil:
		return KeySpec{}, err
	case !seen["tenant"]:
		return KeySpec{}, Errorf(CodeInvalidRequest, `"tenant" is required: whose jobs the key is for`)
	case !seen["scopes"]:
		return KeySpec{}, Errorf(CodeInvalidRequest, `"scopes" is required: some of %s`, scopeNames())
	}
	return spec, spec.Validate()
}

func setKeyField(s *KeySpec, name string, value jsontext.Value) (err error) {
	switch name {
	case "tenant":
		var tenant string
		tenant, err = decodeText(name, value)
		s.Tenant = Tenant(tenant)
	case "scopes":
		s.Scopes, err = decodeTexts[Scope](name, value)
	case "name":
		s.Name, err = decodeText(name, value)
	case "expires_in_seconds":
		s.Lifetime, err = decodeSeconds(name, value, leastKeyLifetime)
	case "limits":
		s.Limits, err = DecodeTenantLimits(name, value)
	default:
		return Unknown("", "field", name, keyFields)
	}
	return err
}

// DecodeGrace decodes a request to rotate a key: how long the old one can still be used. An empty body asks for
// DefaultKeyGrace. Its errors have CodeInvalidRequest.
func DecodeGrace(body []byte) (time.Duration, error) {
	grace := DefaultKeyGrace
	if len(body) == 0 {
		return grace, nil
	}
	_, err := decodeObject(body, `a JSON object, such as {"grace_seconds": 3600}`,
		func(name string, value jsontext.Value) (err error) {
			if name != "grace_seconds" {
				return Unknown("", "field", name, []string{"grace_seconds"})
			}
			grace, err = decodeSeconds(name, value, 0)
			return err
		})
	return grace, err
}

// decodeSeconds decodes a number of seconds, at least that of least.
func decodeSeconds(name string, value jsontext.Value, least time.Duration) (time.Duration, error) {
	if value.Kind() != jsontext.KindNumber {
		return 0, Errorf(CodeInvalidRequest, `%s must be a number of seconds, not %s`, quoteName(name),
			kindName(value.Kind()))
	}
	// Not decodeNumber, whose maximum is 31 years.
	seconds, err := parseNumber(value)
	if err != nil || seconds < least.Seconds() || seconds > maxKeyLifetime.Seconds() {
		return 0, Errorf(CodeInvalidRequest, `%s must be a number of seconds from %s to %s`, quoteName(name),
			plainNumber(least.Seconds()), plainNumber(maxKeyLifetime.Seconds()))
	}
	return inDuration(seconds), nil
}
