package stack

import (
	"os"
	"strings"
	"testing"
)

// StartFor starts a stack for a test, and stops it at the test's end. If the test failed, it shows the logs.
func StartFor(t testing.TB, config Config) *Stack {
	t.Helper()
	s, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// DocumentedCommands returns the blocks of shell commands in a section of a document.
func DocumentedCommands(t testing.TB, document, section string) []string {
	t.Helper()
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(content), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", document, section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []string
	for _, rest := range strings.Split(text, "```sh\n")[1:] {
		block, _, closed := strings.Cut(rest, "```")
		if !closed {
			t.Fatalf("%s, %q has a block without an end", document, section)
		}
		blocks = append(blocks, block)
	}
	if len(blocks) == 0 {
		t.Fatalf("%s, %q has no commands", document, section)
	}
	return blocks
}
