// Package telemetry has the logger and the Prometheus metrics of Cellblock's processes. It does not depend on HTTP
// routes, Redis or nsjail.
package telemetry

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// Settings are the log settings of a process.
type Settings struct {
	LogLevel  slog.Level `name:"log-level" env:"LOG_LEVEL" default:"info" help:"Lowest level that is logged: debug, info, warn or error."`
	LogFormat string     `name:"log-format" env:"LOG_FORMAT" enum:"auto,text,json" default:"auto" help:"Format of logs: text, json, or auto (text on a terminal, json elsewhere)."`
}

// Logger returns the process's logger, which writes to w. Text has colours if w is a terminal and NO_COLOR
// (no-color.org) is not set.
func (s Settings) Logger(w *os.File) *slog.Logger {
	terminal := isatty.IsTerminal(w.Fd())
	if s.LogFormat == "json" || s.LogFormat != "text" && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: s.LogLevel}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      s.LogLevel,
		TimeFormat: time.TimeOnly + ".000",
		NoColor:    !terminal || os.Getenv("NO_COLOR") != "",
	}))
}

// Milliseconds returns a log attribute with a duration in milliseconds, to the microsecond.
func Milliseconds(key string, d time.Duration) slog.Attr {
	return slog.Any(key, milliseconds(d))
}

// milliseconds has three decimals in text and in JSON.
type milliseconds time.Duration

func (m milliseconds) String() string {
	return fmt.Sprintf("%.3f", time.Duration(m).Seconds()*1000)
}

// MarshalJSON returns a JSON number.
func (m milliseconds) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }
