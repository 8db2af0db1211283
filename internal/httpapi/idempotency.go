package httpapi

import (
	"strings"

	"cellblock/internal/jobs"
)

// maxIdempotencyKey is the longest key, in bytes without quotes.
const maxIdempotencyKey = 255

// decodeKey reads the header Idempotency-Key; "" if there is none. The IETF draft puts the key in
// quotes; most clients send it without, which is the same key.
func decodeKey(header *string) (key string, err *jobs.Error) {
	if header == nil {
		return "", nil
	}
	key = strings.TrimSpace(*header)
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = strings.CutSuffix(quoted, `"`); !ok {
			key = ""
		}
	}
	printable := strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' || c == '"' }) < 0
	if key == "" || len(key) > maxIdempotencyKey || !printable {
		return "", jobs.Errorf(jobs.CodeInvalidRequest, "Idempotency-Key must have 1 to %d printable ASCII characters, with or without quotes around them", maxIdempotencyKey)
	}
	return key, nil
}
