package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"cellblock/internal/jobs"
)

// maxIdempotencyKey bounds a key, in bytes, quotes not counted.
const maxIdempotencyKey = 255

// decodeIdempotency reads the header Idempotency-Key, and gives what stands for the
// body that it came with too; both "" if there is none. The IETF's draft has the key
// in quotes; most clients send it without, which is the same key.
func decodeIdempotency(header *string, body []byte) (key, fingerprint string, err *jobs.Error) {
	if header == nil {
		return "", "", nil
	}
	key = strings.TrimSpace(*header)
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = strings.CutSuffix(quoted, `"`); !ok {
			key = ""
		}
	}
	printable := strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' || c == '"' }) < 0
	if key == "" || len(key) > maxIdempotencyKey || !printable {
		return "", "", jobs.Errorf(jobs.CodeInvalidRequest, "Idempotency-Key must have 1 to %d printable ASCII characters, with or without quotes around them", maxIdempotencyKey)
	}
	sum := sha256.Sum256(body)
	return key, hex.EncodeToString(sum[:]), nil
}
