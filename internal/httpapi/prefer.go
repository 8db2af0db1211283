package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// preferences are those of the header Prefer (RFC 7240) that we know.
type preferences struct {
	respondAsync bool
	// wait is how long the client wants to wait; nil if it did not say, or said
	// what has no effect.
	wait *time.Duration
}

// parsePrefer reads the header. As the RFC has it, what is unknown or malformed
// is ignored, and of a preference given twice the first counts. A wait above
// most has no effect.
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

// setApplied tells the client which preferences are followed.
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

// splitOutsideQuotes splits s at each separator that is not in a quoted string.
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
