package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a log in a file, and returns it with the file's path.
func open(t *testing.T) (l *Log, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Settings{File: path}, slog.New(slog.DiscardHandler), func() { t.Error("a line was lost") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, path
}

// lines returns the lines of a file, decoded.
func lines(t *testing.T, path string) (decoded []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		decoded = append(decoded, fields)
	}
	return decoded
}

func TestALineHasWhatIsKnown(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	l.Write(Line{Action: JobCreate, Tenant: "acme", KeyID: "k1", JobID: "j", Outcome: OutcomeOK, Status: 202})
	l.Write(Line{Action: BatchCreate, Count: 3, Outcome: "queue_full", Status: 429})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const stamp = `"time":"2026-01-02T03:04:05.678Z"`
	want := `{` + stamp + `,"action":"job.create","tenant":"acme","key_id":"k1","job_id":"j","outcome":"ok",` +
		`"status":202}` + "\n" +
		`{` + stamp + `,"action":"batch.create","count":3,"outcome":"queue_full","status":429}` + "\n"
	got := string(text)
	for _, line := range lines(t, path) {
		at, _ := line["time"].(string)
		if parsed, err := time.Parse("2006-01-02T15:04:05.000Z", at); err != nil || time.Since(parsed) > time.Minute {
			t.Errorf("the time is %q", at)
		}
		got = strings.Replace(got, `"time":"`+at+`"`, stamp, 1)
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v: %v", info.Mode(), err)
	}
}

// No value of a client ends a line, reaches a terminal, or grows a line without bound.
func TestNastyValuesStayInTheirLine(t *testing.T) {
	t.Parallel()
	nasty := []string{
		"a\nb", "a\r\nb", "\x00", "\x1b[2J", "\u2028\u2029", "\u0085", "\x7f", "\u009b31m", "\u202eevil",
		`","status":200}`, "\xff\xfe", "\xed\xa0\x80", strings.Repeat("x", 1<<20), strings.Repeat("é", 1000),
		strings.Repeat("\n", 1000),
		"\ufeff", "</script>", "{}", "", "日本語",
	}
	l, path := open(t)
	for _, v := range nasty {
		l.Write(Line{
			Action: Action(v), Tenant: v, KeyID: v, Client: v, RequestID: v, JobID: v, BatchID: v, FileID: v, Target: v,
			Outcome: v, Status: 400,
		})
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != len(nasty) || len(lines(t, path)) != n {
		t.Errorf("%d lines of %d", n, len(nasty))
	}
	if !utf8.Valid(text) || strings.ContainsAny(string(text), "\x00\r\x1b\x7f\u0085\u009b\u2028\u2029\u202e\ufeff") {
		t.Errorf("a control character is in %q", text)
	}
	for line := range bytes.Lines(text) {
		if len(line) > 4<<10 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	if last := lines(t, path)[len(nasty)-1]; last["tenant"] != "日本語" {
		t.Errorf("a printable value became %v", last["tenant"])
	}
}

func TestLinesDoNotInterleave(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	const writers, each = 16, 200
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range each {
				l.Write(Line{Action: JobRead, Tenant: strings.Repeat(string(rune('a'+w)), 100), Outcome: OutcomeOK})
			}
		})
	}
	// Meanwhile logrotate moves the file away.
	all.Go(func() {
		for i := range 5 {
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
				t.Error(err)
			}
			l.mu.Lock()
			l.checkedAt = time.Time{}
			l.mu.Unlock()
			l.Write(Line{Action: JobRead, Outcome: OutcomeOK})
		}
	})
	all.Wait()
	found := len(lines(t, path))
	for i := range 5 {
		found += len(lines(t, fmt.Sprintf("%s.%d", path, i)))
	}
	if found != writers*each+5 {
		t.Errorf("%d lines", found)
	}
}

func TestTheFileIsOpenedAgainAfterSIGHUP(t *testing.T) { //nolint:paralleltest // a signal is for the whole process
	l, path := open(t)
	ctx, stop := context.WithCancel(t.Context())
	var reopener sync.WaitGroup
	reopener.Go(func() { l.ReopenOnHangup(ctx) })
	l.Write(Line{Action: JobRead})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no new file")
		}
	}
	l.Write(Line{Action: JobCancel})
	if before, after := lines(t, path+".1"), lines(t, path); len(before) != 1 || len(after) != 1 ||
		after[0]["action"] != string(JobCancel) {
		t.Errorf("before %v, after %v", before, after)
	}
	stop()
	reopener.Wait()
}

// A folder that is gone, as with a disk that was unmounted, loses no line: they still go where they went.
func TestAMovedFolderLosesNothing(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	settings := Settings{File: filepath.Join(folder, "a")}
	var log bytes.Buffer
	l, err := Open(settings, slog.New(slog.NewTextHandler(&log, nil)), func() { t.Error("lost") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Rename(folder, folder+"2"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.checkedAt = time.Time{}
		l.Write(Line{Action: JobRead})
	}
	// It is reported once, and not as lines that were lost.
	if text := log.String(); strings.Count(text, "cannot be opened again") != 1 || strings.Count(text, "\n") != 1 {
		t.Errorf("the log has %s", text)
	}
	if n := len(lines(t, filepath.Join(folder+"2", "a"))); n != 3 {
		t.Errorf("%d lines", n)
	}
	log.Reset()
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l.checkedAt = time.Time{}
	l.Write(Line{Action: JobRead})
	if n := len(lines(t, settings.File)); n != 1 || !strings.Contains(log.String(), "at its path again") {
		t.Errorf("%d lines; the log has %s", n, &log)
	}
}

// brokenSink writes a part of the next lines, as a full disk does, or nothing.
type brokenSink struct {
	bytes.Buffer

	left int // bytes until it is full; -1 for never
}

func (s *brokenSink) Write(p []byte) (int, error) {
	if s.left < 0 {
		return s.Buffer.Write(p)
	}
	n := min(len(p), s.left)
	s.left -= n
	_, _ = s.Buffer.Write(p[:n])
	return n, io.ErrShortWrite
}

func TestAFailingSinkIsReportedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var lost atomic.Int64
	sink := &brokenSink{left: 20}
	l := &Log{logger: slog.New(slog.NewTextHandler(&log, nil)), onError: func() { lost.Add(1) }, sink: sink}
	for range 5 {
		l.Write(Line{Action: JobRead})
	}
	sink.left = -1
	l.Write(Line{Action: JobCancel})
	if n := strings.Count(log.String(), "audit log failed"); n != 1 || lost.Load() != 5 {
		t.Errorf("reported %d times, %d lines lost", n, lost.Load())
	}
	if !strings.Contains(log.String(), "works again") {
		t.Errorf("not reported: %s", &log)
	}
	torn, whole, _ := strings.Cut(sink.String(), "\n")
	if len(torn) != 20 || !json.Valid([]byte(whole)) {
		t.Errorf("the line after the torn one is %q", whole)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	off, err := Open(Settings{File: "off"}, nil, nil)
	if off != nil || err != nil {
		t.Errorf("%v, %v", off, err)
	}
	off.Write(Line{})
	off.ReopenOnHangup(t.Context())
	off.Close()
	out, err := Open(Settings{File: "stdout"}, nil, nil)
	if err != nil || out.sink != os.Stdout {
		t.Errorf("%v, %v", out, err)
	}
	out.ReopenOnHangup(t.Context())
	out.Close()
	_, err = Open(Settings{File: filepath.Join(t.TempDir(), "none", "a")}, nil, nil)
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "AUDIT_FILE: ") {
		t.Error(err)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	var none *Entry
	none.SetJob("x")
	if none.Line() != (Line{}) || Of(t.Context()) != nil {
		t.Error("a request without an entry has one")
	}
	entry := &Entry{}
	of := Of(WithEntry(t.Context(), entry))
	of.SetJob("j")
	of.SetJob("")
	of.SetBatch("b", 2)
	of.SetOutcome("timeout")
	of.SetOutcome("")
	want := Line{JobID: "j", BatchID: "b", Count: 2, Outcome: "timeout"}
	if got := entry.Line(); got != want {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkWrite(b *testing.B) {
	l, err := Open(Settings{File: filepath.Join(b.TempDir(), "a")}, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	line := Line{
		Action: JobCreate, Tenant: "acme", KeyID: "k_0123456789", Client: "192.0.2.17", Outcome: OutcomeOK, Status: 200,
		RequestID: "01981f3e-7c1a-7000-8000-000000000002", JobID: "01981f3e-7c1a-7000-8000-000000000001",
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Write(line)
	}
}
