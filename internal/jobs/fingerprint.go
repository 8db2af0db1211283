package jobs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Fingerprint returns a hash that is equal for equivalent requests, whatever their encoding: as JSON or as a form, with
// or without spaces, their fields in any order. It excludes Async: a client may repeat a request to wait for a job that
// it submitted without waiting.
func Fingerprint(r *Request) string {
	sum := sha256.New()
	r.write(sum)
	return hex.EncodeToString(sum.Sum(nil))
}

// BatchFingerprint is Fingerprint for the items of a batch. For an invalid line it hashes the error message.
func BatchFingerprint(items []ItemRequest) string {
	sum := sha256.New()
	for _, item := range items {
		if item.Err != nil {
			writePart(sum, "refused", AsError(item.Err).Message)
			continue
		}
		item.Request.write(sum)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (r *Request) write(sum hash.Hash) {
	writePart(sum, "script", r.Script)
	writePart(sum, "priority", string(r.Priority))
	if r.Environment != "" { // else as in earlier versions, which bound keys that still exist
		writePart(sum, "environment", r.Environment)
	}
	writePart(sum, "callback_url", r.WebhookURL)
	writePart(sum, "start_within", r.StartWithin.String())
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) { // none: as in earlier versions
		writePart(sum, "label", key)
		writePart(sum, "is", r.Labels[key])
	}
	in := r.Inputs
	if in == nil {
		in = &Inputs{}
	}
	writePart(sum, "args", canonicalArgs(in.Args))
	r.writeEntry(sum)
	writePart(sum, "stdin", in.Stdin)
	for _, name := range slices.Sorted(maps.Keys(in.Env)) {
		writePart(sum, "env", name)
		writePart(sum, "is", in.Env[name])
	}
	byPath := func(a, b File) int { return cmp.Compare(a.Path, b.Path) }
	for _, file := range slices.SortedFunc(slices.Values(in.Files), byPath) {
		writePart(sum, "file", file.Path)
		file.writeSource(sum)
	}
	writePart(sum, "limits", fmt.Sprintf("%+v", in.Limits))
}

// writeSource writes where the content comes from: of a file that the service has already, the reference alone.
func (f *File) writeSource(sum hash.Hash) {
	switch {
	case f.Ref.FileID != "":
		writePart(sum, "file_id", f.Ref.FileID)
	case f.Ref.JobID != "":
		writePart(sum, "job_id", f.Ref.JobID)
		writePart(sum, "name", f.Ref.Name)
	default:
		writePart(sum, "is", f.Content)
	}
}

// writeEntry writes nothing for EntryMain, so that the fingerprints of earlier versions stay.
func (r *Request) writeEntry(sum hash.Hash) {
	if r.Entry != EntryMain {
		writePart(sum, "entry", string(r.Entry))
	}
}

// writePart writes a part so that different sequences of parts never produce the same bytes.
func writePart[T string | []byte](sum hash.Hash, name string, content T) {
	fmt.Fprintf(sum, "%s %d\n", name, len(content))
	_, _ = sum.Write([]byte(content))
}

// canonicalArgs returns arguments in a canonical form. Numbers stay as they are: 1 and 1.0 differ in Python.
func canonicalArgs(args jsontext.Value) string {
	spelt := slices.Clone(args)
	if len(spelt) == 0 {
		return "{}" // main() is called the same way, and a script has no arguments
	}
	// On an error it stays unchanged; the decoder has already refused all input that could cause one.
	_ = spelt.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false),
		jsontext.CanonicalizeRawFloats(false))
	if string(spelt) == "[]" {
		return "{}"
	}
	return string(spelt)
}
