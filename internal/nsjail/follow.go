package nsjail

import (
	"context"
	"os"
	"slices"

	"cellblock/internal/jobs"
)

// maxPiece bounds one piece of text, in bytes of what the script wrote.
const maxPiece = 64 << 10

// outputs are the two of a sandbox.
type outputs struct {
	stdout, stderr *output
	// written gets a value when more was kept of either.
	written chan struct{}
}

// collectBoth collects both outputs; see collect.
func collectBoth(stdout, stderr *os.File, limit int64) outputs {
	written := make(chan struct{}, 1)
	return outputs{stdout: collect(stdout, limit, written), stderr: collect(stderr, limit, written), written: written}
}

// Follow calls told with what the script prints, from its first byte on and
// while it prints it, until ctx ends. All texts of one output together are the
// beginning of what Run gives of it. One caller at a time; with Run or before it.
func (o *outputs) Follow(ctx context.Context, told func([]jobs.Printed)) {
	out, err := tail{output: o.stdout}, tail{output: o.stderr}
	for {
		var printed []jobs.Printed
		if at, text := out.next(); text != "" {
			printed = append(printed, jobs.Printed{Stream: jobs.Stdout, At: at, Text: text})
		}
		if at, text := err.next(); text != "" {
			printed = append(printed, jobs.Printed{Stream: jobs.Stderr, At: at, Text: text})
		}
		if len(printed) > 0 {
			told(printed)
			if ctx.Err() == nil {
				continue
			}
		}
		select {
		case <-o.written:
		case <-ctx.Done():
			return
		}
	}
}

// tail reads an output as the text that take will give.
type tail struct {
	output *output
	// read and given are bytes: of what was kept, and of the text made of it.
	read, given int
}

// next gives the text that follows, and its place; "" if there is no more yet.
func (t *tail) next() (at int, text string) {
	at = t.given
	for text == "" {
		t.output.mu.Lock()
		end := min(len(t.output.kept), int(t.output.bound()), t.read+maxPiece)
		raw := slices.Clone(t.output.kept[min(t.read, end):end])
		t.output.mu.Unlock()
		raw = wholeCharacters(raw) // the beginning of one is not decided
		if len(raw) == 0 {
			return at, ""
		}
		text = validUTF8(raw)
		t.read += len(raw)
	}
	t.given += len(text)
	return at, text
}
