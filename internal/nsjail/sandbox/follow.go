package sandbox

import (
	"context"
	"os"
	"slices"

	"cellblock/internal/jobs"
)

// maxChunk is the most bytes of the script's output in one chunk of text.
const maxChunk = 64 << 10

// outputs are stdout and stderr of a sandbox.
type outputs struct {
	stdout, stderr *Output
	// written receives a value when either has kept more bytes.
	written chan struct{}
}

// collectBoth starts to collect both outputs; see Collect.
func collectBoth(stdout, stderr *os.File, limit int64) outputs {
	written := make(chan struct{}, 1)
	return outputs{stdout: Collect(stdout, limit, written), stderr: Collect(stderr, limit, written), written: written}
}

// Follow calls emit with the script's output, from its first byte on and as the script writes it,
// until ctx is done. The texts of one output, joined, are a prefix of what Run returns of it. Only
// one caller at a time may follow; it may start before Run.
func (o *outputs) Follow(ctx context.Context, emit func([]jobs.OutputChunk)) {
	out, err := tail{output: o.stdout}, tail{output: o.stderr}
	for {
		var printed []jobs.OutputChunk
		if at, text := out.next(); text != "" {
			printed = append(printed, jobs.OutputChunk{Stream: jobs.Stdout, Offset: at, Text: text})
		}
		if at, text := err.next(); text != "" {
			printed = append(printed, jobs.OutputChunk{Stream: jobs.Stderr, Offset: at, Text: text})
		}
		if len(printed) > 0 {
			emit(printed)
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

// tail reads an output as the text that readAll will return.
type tail struct {
	output *Output
	// consumed counts the bytes read from the output, emitted those of the text made from them.
	consumed, emitted int
}

// next returns the next text and its offset in bytes; "" if there is none yet.
func (t *tail) next() (at int, text string) {
	at = t.emitted
	for text == "" {
		t.output.mu.Lock()
		end := min(len(t.output.kept), int(t.output.effectiveLimit()), t.consumed+maxChunk)
		raw := slices.Clone(t.output.kept[min(t.consumed, end):end])
		t.output.mu.Unlock()
		raw = trimIncomplete(raw) // an incomplete character is left for the next call
		if len(raw) == 0 {
			return at, ""
		}
		text = validUTF8(raw)
		t.consumed += len(raw)
	}
	t.emitted += len(text)
	return at, text
}
