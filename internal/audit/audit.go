// Package audit writes the audit log: who did what, one line of JSON for each request that accepts, refuses, cancels or
// reads jobs, batches, files, usage or keys.
//
// A request has one Entry, in its context. Whatever handles the request notes in it what the request concerns; the
// middleware of the API adds who made it and how it ended, and writes the line after the response. A line has names,
// ids and codes only: never a script, an argument, a file's name, a result or a secret.
//
// A line is one write under a lock, so lines never interleave, and no value can end a line or reach a terminal as a
// control character. A sink that fails stops no request.
package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// toStdout and toNowhere are values of Settings.File that are no path.
	toStdout, toNowhere = "stdout", "off"
	// mode keeps other users of the machine from reading who uses the service.
	mode = 0o600
	// checkInterval is how often at most a line is preceded by a check whether the file was moved away.
	checkInterval = time.Second
)

// Settings select where the lines go.
type Settings struct {
	File string `name:"audit-file" env:"AUDIT_FILE" default:"stdout" help:"Where the audit log goes, a line of JSON for each request: stdout, off, or the path of a file, which is appended to, and opened again after SIGHUP or once it was moved away."`
}

// Log is the audit log. It is safe for concurrent use. A nil Log drops its lines.
type Log struct {
	logger  *slog.Logger
	onError func()
	// path is "" if the sink is no file of ours.
	path string
	// reopen receives SIGHUP; nil without a path.
	reopen chan os.Signal

	mu   sync.Mutex
	sink io.Writer
	file *os.File
	// checkedAt is when the file was last found at its path.
	checkedAt time.Time
	// failing is set while writes fail, and torn if the last one wrote a part of its line.
	failing, torn bool
	// stuck is set while the file cannot be opened again. No line is lost then.
	stuck bool
}

// Open opens the log; nil if it is off. onError is called for each line that was lost. The caller closes the log.
func Open(settings Settings, logger *slog.Logger, onError func()) (*Log, error) {
	l := &Log{logger: logger, onError: onError, sink: os.Stdout}
	switch settings.File {
	case toNowhere:
		return nil, nil //nolint:nilnil // a nil log is a log
	case toStdout, "":
		return l, nil
	}
	l.path = settings.File
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("AUDIT_FILE: %w", err)
	}
	l.reopen = make(chan os.Signal, 1)
	signal.Notify(l.reopen, syscall.SIGHUP)
	return l, nil
}

// open opens the file and closes the one before. The caller holds the lock, or is the only one to know l.
func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close() // its lines are written
	}
	l.file, l.sink, l.torn, l.checkedAt = file, file, false, time.Now()
	return nil
}

// ReopenOnHangup opens the file again at each SIGHUP until ctx is done. It returns at once if the sink is no file.
func (l *Log) ReopenOnHangup(ctx context.Context) {
	if l == nil || l.path == "" {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.reopen:
			l.mu.Lock()
			l.reportReopen(l.open())
			l.mu.Unlock()
		}
	}
}

// Close closes the file.
func (l *Log) Close() {
	if l == nil || l.path == "" {
		return
	}
	signal.Stop(l.reopen)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close() // its lines are written
}

// buffers has buffers for lines.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Write writes a line with the time of now. It reports a failure to the settings' logger, once until a write succeeds.
func (l *Log) Write(line Line) {
	if l == nil {
		return
	}
	buffer, _ := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	now := time.Now()
	err := line.encode(buffer, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.followPath(now)
		err = l.write(buffer.Bytes())
	}
	if err != nil {
		l.onError()
	}
	l.report(err)
}

// write writes a line, after the end of one of which only a part was written.
func (l *Log) write(line []byte) error {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.sink.Write(line)
	if n > 0 {
		l.torn = n < len(line)
	}
	return err
}

// followPath opens the file again if it is no longer at its path: logrotate has moved it away. If that fails, lines
// still go where they went.
func (l *Log) followPath(now time.Time) {
	if l.path == "" || now.Sub(l.checkedAt) < checkInterval {
		return
	}
	l.checkedAt = now
	at, err := os.Stat(l.path)
	if err == nil {
		var ours fs.FileInfo
		if ours, err = l.file.Stat(); err == nil && os.SameFile(at, ours) {
			l.reportReopen(nil)
			return
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = l.open()
	}
	l.reportReopen(err)
}

// reportReopen logs that the file cannot be opened again, once, and when it can be. Writes report their own failures:
// the file that is open may take lines all the while.
func (l *Log) reportReopen(err error) {
	switch {
	case err != nil && !l.stuck:
		l.logger.Error("the file of the audit log cannot be opened again; lines go on to the one before", "error", err)
	case err == nil && l.stuck:
		l.logger.Info("the file of the audit log is at its path again")
	}
	l.stuck = err != nil
}

// report logs a failure, and the success after it.
func (l *Log) report(err error) {
	switch {
	case err != nil && !l.failing:
		l.logger.Error("audit log failed; requests go on without it", "error", err)
	case err == nil && l.failing:
		l.logger.Info("audit log works again")
	}
	l.failing = err != nil
}
