package webhook

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	secretPrefix = "whsec_"
	// The length of a secret in bytes, by Standard Webhooks.
	leastSecret, maxSecret = 24, 64
)

// errSecret contains no part of the secret.
var errSecret = errors.New(
	"CALLBACK_SECRET must be whsec_ and 24 to 64 bytes in base64, or several of these with spaces between them")

// signer signs messages with every secret.
type signer []*webhooks.Webhook

// newSigner parses the secrets. It is stricter than the library, which accepts any length and base64 without a prefix,
// to detect a secret that was pasted wrongly.
func newSigner(secrets string) (signer, error) {
	var s signer
	for text := range strings.FieldsSeq(secrets) {
		encoded, ok := strings.CutPrefix(text, secretPrefix)
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !ok || err != nil || len(key) < leastSecret || len(key) > maxSecret {
			return nil, errSecret
		}
		hook, err := webhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errSecret
		}
		s = append(s, hook)
	}
	if len(s) == 0 {
		return nil, errSecret
	}
	return s, nil
}

// sign sets the headers of a message: its id, which is the same for all attempts, the time of this attempt, and one
// signature for each secret.
func (s signer) sign(header http.Header, id string, at time.Time, body []byte) error {
	signatures := make([]string, len(s))
	for i, hook := range s {
		signature, err := hook.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures[i] = signature
	}
	header.Set(webhooks.HeaderWebhookID, id)
	header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
