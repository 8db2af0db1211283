package telemetry

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoggerFormats(t *testing.T) {
	t.Parallel()
	for format, isJSON := range map[string]bool{"auto": true, "json": true, "text": false} {
		path := filepath.Join(t.TempDir(), "log")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		logger := Settings{LogLevel: slog.LevelInfo, LogFormat: format}.Logger(file)
		logger.Debug("not this")
		logger.LogAttrs(t.Context(), slog.LevelInfo, "this", Milliseconds("ms", 1234567*time.Nanosecond))
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		log, _ := os.ReadFile(path)
		if json.Valid(log) != isJSON || strings.Contains(string(log), "not this") ||
			strings.Contains(string(log), "\x1b") {
			t.Errorf("%s: %s", format, log)
		}
		if want := map[bool]string{
			true:  `"ms":1.235`,
			false: "ms=1.235",
		}[isJSON]; !strings.Contains(string(log), want) {
			t.Errorf("%s: no %s in %s", format, want, log)
		}
	}
}
