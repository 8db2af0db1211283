package host

import (
	"testing"

	"github.com/alecthomas/kong"
)

// defaultSettings returns the settings of a host without flags and environment.
func defaultSettings(t testing.TB) Settings {
	t.Helper()
	var settings Settings
	parser, err := kong.New(&settings, kong.Vars{"prefix": DefaultPrefix()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return settings
}
