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

// Meaning returns a sum that is the same for requests that ask for the same job,
// however they are spelt: as JSON or as a form, with spaces or without, their fields
// in any order. It leaves out how the client wants to be answered (Async): a client
// may come back to wait for a job that it has only handed in.
func (r *Request) Meaning() string {
	sum := sha256.New()
	r.write(sum)
	return hex.EncodeToString(sum.Sum(nil))
}

// MeaningOfBatch is Meaning for the lines of a batch. Of a line that is no request,
// what is wrong with it counts.
func MeaningOfBatch(lines []BatchLine) string {
	sum := sha256.New()
	for _, line := range lines {
		if line.Err != nil {
			writePart(sum, "refused", line.Err.Message)
			continue
		}
		line.Request.write(sum)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (r *Request) write(sum hash.Hash) {
	writePart(sum, "script", r.Script)
	writePart(sum, "priority", string(r.Priority))
	writePart(sum, "callback_url", r.CallbackURL)
	writePart(sum, "start_within", r.StartWithin.String())
	in := r.Inputs
	if in == nil {
		in = &Inputs{}
	}
	writePart(sum, "args", canonicalArgs(in.Args))
	writePart(sum, "stdin", in.Stdin)
	for _, name := range slices.Sorted(maps.Keys(in.Env)) {
		writePart(sum, "env", name)
		writePart(sum, "is", in.Env[name])
	}
	byPath := func(a, b File) int { return cmp.Compare(a.Path, b.Path) }
	for _, file := range slices.SortedFunc(slices.Values(in.Files), byPath) {
		writePart(sum, "file", file.Path)
		writePart(sum, "is", file.Content)
	}
	writePart(sum, "limits", fmt.Sprintf("%+v", in.Limits))
}

// writePart writes a part so that no other parts can look the same.
func writePart[T string | []byte](sum hash.Hash, name string, content T) {
	fmt.Fprintf(sum, "%s %d\n", name, len(content))
	_, _ = sum.Write([]byte(content))
}

// canonicalArgs spells arguments in one way. Numbers stay as they are: to Python, 1
// and 1.0 differ.
func canonicalArgs(args jsontext.Value) string {
	spelt := slices.Clone(args)
	if len(spelt) == 0 {
		return "{}" // main() is called in the same way
	}
	// An error leaves it as it was; the decoder has refused what could give one.
	_ = spelt.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	return string(spelt)
}
