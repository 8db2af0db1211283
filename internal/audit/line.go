package audit

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Action is what a request did or was to do. Actions are never renamed.
type Action string

// The actions. Those on jobs have the id of the job once there is one, and so do those on batches and files.
const (
	JobCreate Action = "job.create"
	JobRead   Action = "job.read"
	JobList   Action = "job.list"
	JobEvents Action = "job.events"
	JobFile   Action = "job.file"
	JobCancel Action = "job.cancel"

	BatchCreate  Action = "batch.create"
	BatchRead    Action = "batch.read"
	BatchResults Action = "batch.results"
	BatchCancel  Action = "batch.cancel"

	FileCreate Action = "file.create"
	FileRead   Action = "file.read"
	FileDelete Action = "file.delete"

	UsageRead Action = "usage.read"

	// KeyCreate and those after it are for administrators; the line has the key or tenant as its target.
	KeyCreate  Action = "key.create"
	KeyList    Action = "key.list"
	KeyRotate  Action = "key.rotate"
	KeyRevoke  Action = "key.revoke"
	SecretRead Action = "webhook_secret.read"

	// Other is a request that was refused before it was known what it is for.
	Other Action = "other"
)

// Outcomes that are no codes of the API.
const (
	// OutcomeOK is the outcome of a request that was answered as it should be.
	OutcomeOK = "ok"
	// OutcomeRefused is the outcome of a request that was refused without a code.
	OutcomeRefused = "refused"
	// OutcomeClientGone is the outcome of a request whose client disconnected before the response.
	OutcomeClientGone = "client_gone"
	// OutcomeAborted is the outcome of a request whose response broke off.
	OutcomeAborted = "aborted"
)

// Line is a line of the log. Empty fields are left out, except for the action, the outcome and the status.
type Line struct {
	Action Action `json:"action"`
	// Tenant and KeyID are those of the caller: "" while it is unknown, and KeyID for API_TOKEN too.
	Tenant string `json:"tenant,omitzero"`
	KeyID  string `json:"key_id,omitzero"`
	// Client is the address of the client, as TRUSTED_PROXIES makes it known.
	Client    string `json:"client,omitzero"`
	RequestID string `json:"request_id,omitzero"`
	JobID     string `json:"job_id,omitzero"`
	BatchID   string `json:"batch_id,omitzero"`
	FileID    string `json:"file_id,omitzero"`
	// Target is the key or the tenant that an administrator's action concerns.
	Target string `json:"target,omitzero"`
	// Count is the number of jobs of a new batch.
	Count int `json:"count,omitzero"`
	// Outcome is OutcomeOK, a code of the API, or one of the other outcomes above.
	Outcome string `json:"outcome"`
	// Status is the status of the response.
	Status int `json:"status"`
}

// maxValue bounds each value, in bytes. The longest of ours is a request id of 64.
const maxValue = 128

// encode appends the line with its time and line feed.
func (l Line) encode(buffer *bytes.Buffer, at time.Time) error {
	l.Action = Action(clean(string(l.Action)))
	for _, value := range []*string{
		&l.Tenant, &l.KeyID, &l.Client, &l.RequestID, &l.JobID, &l.BatchID, &l.FileID, &l.Target, &l.Outcome,
	} {
		*value = clean(*value)
	}
	timed := struct {
		Time string `json:"time"`
		Line `json:",inline"`
	}{at.UTC().Format("2006-01-02T15:04:05.000Z"), l}
	if err := json.MarshalWrite(buffer, &timed, jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	return buffer.WriteByte('\n')
}

// clean returns value with at most maxValue bytes, and with U+FFFD for each character that does not print: controls,
// line separators, those that change the direction of text, and bytes that are no UTF-8.
func clean(value string) string {
	if len(value) <= maxValue && strings.IndexFunc(value, needsCleaning) < 0 {
		return value
	}
	var cleaned strings.Builder
	for _, r := range value {
		if needsCleaning(r) {
			r = utf8.RuneError
		}
		if cleaned.Len()+utf8.RuneLen(r) > maxValue {
			break
		}
		cleaned.WriteRune(r)
	}
	return cleaned.String()
}

func needsCleaning(r rune) bool {
	return r == utf8.RuneError || r < ' ' || r >= 0x7f && !unicode.IsPrint(r)
}
