package nsjail

import (
	"context"
	"os"
	"slices"

	"cellblock/internal/jobs"
)

// maxPiece is the most bytes of the script's output in one piece of text.
const maxPiece = 64 << 10

// outputs are stdout and stderr of a sandbox.
type outputs struct {
	stdout, stderr *output
	// written receives a value when either has kept more bytes.
	written chan struct{}
}

// collectBoth starts to collect both outputs; see collect.
func collectBoth(stdout, stderr *os.File, limit int64) outputs {
	written := make(chan struct{}, 1)
	return outputs{stdout: collect(stdout, limit, written), stderr: collect(stderr, limit, written), written: written}
}

// Follow calls told with the script's output, from its first byte on and as the script writes it,
// until ctx is done. The texts of one output, joined, are a prefix of what Run returns of it. Only
// one caller at a time may follow; it may start before Run.
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

// tail reads an output as the text that take will return.
type tail struct {
	output *output
	// read counts the bytes of the output that were read, given those of the text made from them.
	read, given int
}

// next returns the next text and its offset in bytes; "" if there is none yet.
func (t *tail) next() (at int, text string) {
	at = t.given
	for text == "" {
		t.output.mu.Lock()
		end := min(len(t.output.kept), int(t.output.bound()), t.read+maxPiece)
		raw := slices.Clone(t.output.kept[min(t.read, end):end])
		t.output.mu.Unlock()
		raw = wholeCharacters(raw) // an incomplete character is left for the next call
		if len(raw) == 0 {
			return at, ""
		}
		text = validUTF8(raw)
		t.read += len(raw)
	}
	t.given += len(text)
	return at, text
}
