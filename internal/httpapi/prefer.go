package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// preferences are the supported ones of the header Prefer (RFC 7240).
type preferences struct {
	respondAsync bool
	// wait is how long the client wants to wait; nil if there is no valid wait.
	wait *time.Duration
}

// parsePrefer reads the header. As in the RFC, unknown or malformed preferences are ignored, and
// the first of several values counts. A wait above most is ignored.
func parsePrefer(header string, most time.Duration) preferences {
	var p preferences
	waitSeen := false
	for _, preference := range splitOutsideQuotes(header, ',') {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.respondAsync = p.respondAsync || value == ""
		case "wait":
			if waitSeen {
				continue
			}
			waitSeen = true
			seconds, err := strconv.ParseUint(value, 10, 16)
			if wait := time.Duration(seconds) * time.Second; err == nil && wait <= most {
				p.wait = &wait
			}
		}
	}
	return p
}

// setApplied sets Preference-Applied to the preferences in effect.
func (p preferences) setApplied(w http.ResponseWriter) {
	var applied []string
	if p.respondAsync {
		applied = append(applied, "respond-async")
	}
	if p.wait != nil {
		applied = append(applied, "wait="+strconv.Itoa(int(p.wait.Seconds())))
	}
	if len(applied) > 0 {
		w.Header().Set("Preference-Applied", strings.Join(applied, ", "))
	}
}

// splitOutsideQuotes splits s at each separator outside a quoted string.
func splitOutsideQuotes(s string, separator rune) []string {
	quoted, escaped := false, false
	return strings.FieldsFunc(s, func(c rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		}
		return !quoted && c == separator
	})
}
