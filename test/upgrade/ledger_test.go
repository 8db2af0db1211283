package upgrade

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// ledger has what each job of a test writes when it runs. It is safe for concurrent use.
type ledger struct {
	mu sync.Mutex
	// entries are the lines, and whether the job must run.
	entries map[string]bool
}

func newLedger() *ledger { return &ledger{entries: map[string]bool{}} }

// line returns Python that writes a new line of the ledger, and nothing else.
func (l *ledger) line(must bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := fmt.Sprintf("run-%d", len(l.entries))
	l.entries[name] = must
	return fmt.Sprintf("open('/runs', 'a').write('%s\\n')", name)
}

// counts are what became of the jobs of a ledger.
type counts struct{ jobs, ran, twice, lost int }

// verify compares the ledger with the lines that were written.
func (l *ledger) verify(t *testing.T, runs string) (c counts) {
	t.Helper()
	content, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for line := range bytes.Lines(content) {
		ran[strings.TrimSpace(string(line))]++
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.jobs = len(l.entries)
	for name, must := range l.entries {
		switch n := ran[name]; {
		case n > 1:
			c.twice++
			t.Errorf("the job %s ran %d times", name, n)
		case n == 1:
			c.ran++
		case must:
			c.lost++
			t.Errorf("the job %s did not run", name)
		}
	}
	return c
}
