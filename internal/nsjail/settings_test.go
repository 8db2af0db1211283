package nsjail

import (
	"testing"

	"github.com/alecthomas/kong"
)

// defaultSettings returns the settings of a worker without flags and environment.
func defaultSettings(t testing.TB) Settings {
	t.Helper()
	var cli struct {
		Settings `embed:""`
	}
	parser, err := kong.New(&cli, kong.Vars{"prefix": DefaultPrefix()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return cli.Settings
}
