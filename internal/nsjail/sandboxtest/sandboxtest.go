// Package sandboxtest has what the tests of the sandboxes share: settings, a host, and the running of scripts.
package sandboxtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/alecthomas/kong"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
)

// Defaults returns settings without flags and environment.
func Defaults[T any](t testing.TB) T {
	t.Helper()
	var settings T
	parser, err := kong.New(&settings, kong.Vars{"prefix": host.DefaultPrefix()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return settings
}

// NeedsNsjail skips a test in the short mode, which has neither root nor nsjail.
func NeedsNsjail(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root and nsjail")
	}
}

// OpenHost opens a host with these settings and closes it at the end of the test.
func OpenHost(t testing.TB, settings host.Settings) *host.Host {
	t.Helper()
	NeedsNsjail(t)
	h, err := host.Open(t.Context(), settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// Provider provides sandboxes.
type Provider interface {
	Acquire(ctx context.Context, script string) (*sandbox.Sandbox, error)
}

// Logger logs to the test and fails nothing.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// Run acquires a sandbox and runs a script in it.
func Run(t testing.TB, provider Provider, script string) jobs.Outcome {
	t.Helper()
	sandbox, err := provider.Acquire(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Run(t.Context(), script, jobs.EntryMain, nil)
}

// Code returns the code of the failure; "" for success.
func Code(o jobs.Outcome) jobs.Code {
	if o.Failure == nil {
		return ""
	}
	return o.Failure.Code
}

// Value runs a script that must succeed and decodes what it returned.
func Value[T any](t testing.TB, provider Provider, script string) T {
	t.Helper()
	o := Run(t, provider, script)
	if o.Failure != nil {
		t.Fatalf("%+v\nstderr: %s", *o.Failure, o.Stderr)
	}
	var v T
	if err := json.Unmarshal(o.Result, &v); err != nil {
		t.Fatalf("%s: %v", o.Result, err)
	}
	return v
}

// Descriptors returns the number of open descriptors of this process.
func Descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// ProcessesOf lists the living processes of user ids in [from, to). Dead ones may wait some time
// for their parent to reap them.
func ProcessesOf(t *testing.T, from, to int) []string {
	t.Helper()
	var left []string
	entries, err := fs.Glob(os.DirFS("/proc"), "[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join("/proc", entry))
		if err != nil {
			continue // it ended meanwhile
		}
		if strings.Contains(string(content), "\nState:\tZ") {
			continue
		}
		for line := range strings.Lines(string(content)) {
			var uid int
			if n, _ := fmt.Sscanf(line, "Uid:\t%d", &uid); n == 1 && uid >= from && uid < to {
				left = append(left, entry)
			}
		}
	}
	return left
}

// ChildrenOf returns the child processes of a process.
func ChildrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var children []int
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(content[strings.LastIndex(string(content), ")")+1:]))
		if fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(strings.Split(file, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// Warnings collects log records at warning level or above.
type Warnings struct {
	slog.Handler
	mu    *sync.Mutex
	lines *[]string
}

// NewWarnings returns a handler without records.
func NewWarnings() Warnings {
	return Warnings{Handler: slog.DiscardHandler, mu: new(sync.Mutex), lines: new([]string)}
}

// Enabled implements slog.Handler.
func (Warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// WithAttrs implements slog.Handler.
func (w Warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// Handle implements slog.Handler.
func (w Warnings) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.lines = append(*w.lines, text)
	return nil
}

// All returns the records, each as a line.
func (w Warnings) All() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(*w.lines)
}
