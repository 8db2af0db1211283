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

// newSigner returns the signer of the secrets in the setting.
func newSigner(text string) (signer, error) {
	parsed, err := parseSecrets(text)
	if err != nil {
		return nil, err
	}
	return parsed.signer()
}

// secrets are the keys of signatures, decoded.
type secrets [][]byte

// parseSecrets parses the secrets. It is stricter than the library, which accepts any length and base64 without a
// prefix, to detect a secret that was pasted wrongly.
func parseSecrets(text string) (parsed secrets, err error) {
	for field := range strings.FieldsSeq(text) {
		encoded, ok := strings.CutPrefix(field, secretPrefix)
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !ok || err != nil || len(key) < leastSecret || len(key) > maxSecret {
			return nil, errSecret
		}
		parsed = append(parsed, key)
	}
	if len(parsed) == 0 {
		return nil, errSecret
	}
	return parsed, nil
}

func (s secrets) signer() (signer, error) {
	hooks := make(signer, len(s))
	for i, key := range s {
		hook, err := webhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errSecret
		}
		hooks[i] = hook
	}
	return hooks, nil
}

// text returns the secrets as the libraries for receivers take them.
func (s secrets) text() []string {
	texts := make([]string, len(s))
	for i, key := range s {
		texts[i] = secretPrefix + base64.StdEncoding.EncodeToString(key)
	}
	return texts
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
