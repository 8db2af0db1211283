package httpapi

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	for _, tc := range []struct {
		settings Settings
		refused  string
		warned   bool
	}{
		{Settings{Addr: "127.0.0.1:0"}, "", false},
		{Settings{Addr: "localhost:0"}, "", false},
		{Settings{Addr: "[::1]:0"}, "", false},
		{Settings{Addr: "0.0.0.0:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: ":0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "[::]:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "192.0.2.1:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "127.0.0.1:0", AllowAnonymous: true}, "", false},
		{Settings{Addr: "nonsense"}, "API_ADDR", false},
		{Settings{Addr: "127.0.0.1:99999"}, "API_ADDR", false},
	} {
		var log bytes.Buffer
		listener, err := tc.settings.Listen(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		if listener != nil {
			_ = listener.Close()
		}
		if (err != nil) != (tc.refused != "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			if tc.settings.Addr == "[::1]:0" && err != nil && strings.Contains(err.Error(), "assign requested address") {
				continue // this machine has no IPv6
			}
			t.Errorf("%+v: %v", tc.settings, err)
		}
		if (log.Len() > 0) != tc.warned {
			t.Errorf("%+v: log %q", tc.settings, log.String())
		}
	}
}

// TestAnonymousIsWarnedOf only resolves the address, so that no test listens beyond this machine.
func TestAnonymousIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	// No machine has 192.0.2.1 (RFC 5737), so listening fails after the check.
	if _, err := (Settings{Addr: "192.0.2.1:0", AllowAnonymous: true}).Listen(t.Context(), logger); err == nil {
		t.Fatal("listening on nobody's address")
	}
	if !strings.Contains(log.String(), "WARN") {
		t.Errorf("log %q", log.String())
	}
	log.Reset()
	_, _ = Settings{Addr: "192.0.2.1:0", Token: "t"}.Listen(t.Context(), logger)
	if log.Len() > 0 {
		t.Errorf("log %q", log.String())
	}
}
