package sandbox

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// For any output, written in any chunks, a follower receives a prefix of what readAll returns: all of
// it but what only the end of the stream decides.
func TestFollowedBytesAreThoseOfReadAll(t *testing.T) {
	t.Parallel()
	alphabet := []string{
		"a", "é", "€", "😀", "\n", "\xff", "\x80", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", strings.Repeat("x", 50),
	}
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var whole []byte
		for range random.IntN(40) {
			whole = append(whole, alphabet[random.IntN(len(alphabet))]...)
		}
		limit := int64(1 + random.IntN(200))
		o := &Output{limit: limit}
		if random.IntN(3) == 0 {
			o.lowerLimit(1 + random.Int64N(limit))
		}
		followed, reader := "", tail{output: o}
		for rest := whole; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			if _, err := o.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			for at, text := reader.next(); text != ""; at, text = reader.next() {
				if at != len(followed) {
					t.Fatalf("a piece is at %d, want %d", at, len(followed))
				}
				followed += text
			}
		}
		taken, _ := o.text()
		left, is := strings.CutPrefix(taken, followed)
		if !is || left != "" && left != "�" {
			t.Fatalf("of %q with limit %d: followed %q, took %q", whole, limit, followed, taken)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	open := func() (out, in *os.File) {
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close() })
		return out, in
	}
	stdout, stdoutIn := open()
	stderr, stderrIn := open()
	o := collectBoth(stdout, stderr, 1<<20)
	write(t, stdoutIn, "before")
	emitted := make(chan jobs.OutputChunk, 100)
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		o.Follow(ctx, func(printed []jobs.OutputChunk) {
			for _, piece := range printed {
				emitted <- piece
			}
		})
	})
	want := func(stream jobs.Stream, at int, text string) {
		t.Helper()
		for got := ""; got != text; {
			select {
			case piece := <-emitted:
				got += piece.Text
				if piece.Stream != stream || piece.Offset+len(piece.Text) != at+len(got) ||
					!strings.HasPrefix(text, got) {
					t.Fatalf("got %+v, want %s at %d: %q", piece, stream, at, text)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("got %q, want %q", got, text)
			}
		}
	}
	want(jobs.Stdout, 0, "before")
	write(t, stderrIn, "err")
	want(jobs.Stderr, 0, "err")
	long := strings.Repeat("é", 100_000)
	write(t, stdoutIn, long)
	want(jobs.Stdout, 6, long)
	stop()
	following.Wait()
	o.stdout.Stop()
	o.stderr.Stop()
}
