package main

import (
	"testing"

	"github.com/alecthomas/kong"

	"cellblock/test/configdoc"
)

//go:generate go test -count=1 -run ^TestConfigurationPage$ . -update-docs

// TestConfigurationPage checks that docs/configuration.md has every setting of the program, as its help shows it.
func TestConfigurationPage(t *testing.T) {
	parser, err := kong.New(&flags{}, configdoc.Vars())
	if err != nil {
		t.Fatal(err)
	}
	configdoc.Check(t, "bin/api", parser.Model.Node)
}
