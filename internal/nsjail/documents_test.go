package nsjail

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

// TestDocumentsShowTheDefaultLimits checks the README's table against the real limits, and that all
// documents use one unit: 700 MB and 734,003,200 bytes differ.
func TestDocumentsShowTheDefaultLimits(t *testing.T) {
	t.Parallel()
	var readme, api string
	for _, path := range []string{
		"README.md", "nsjail.cfg", "docs/api.md", "docs/configuration.md", "docs/operations.md",
		"docs/python.md", "docs/verdicts.md", "runner/protocol.md",
	} {
		text := readDocument(t, path)
		switch path {
		case "README.md":
			readme = text
		case "docs/api.md":
			api = text
		}
		if wrong := regexp.MustCompile(`(?m)^.*\d [MK]B\b.*$`).FindAllString(text, -1); len(wrong) > 0 {
			t.Errorf("%s has limits in MB or KB; they are MiB and KiB:\n%s", path, strings.Join(wrong, "\n"))
		}
	}
	l := jobs.DefaultLimits()
	wantProse(t, "docs/api.md", api, fmt.Sprintf("the script has more than %s bytes |", thousands(jobs.MaxScriptBytes)))
	wantProse(t, "README.md", readme,
		fmt.Sprintf("| script | %s bytes of UTF-8 |", thousands(jobs.MaxScriptBytes)),
		fmt.Sprintf("| wall time | %.0f s |", l.Wall.Seconds()),
		fmt.Sprintf("| CPU time, all processes together | %.0f s |", l.CPU.Seconds()),
		fmt.Sprintf("| memory, all processes and `/tmp` together | %d MiB (%s bytes) |",
			l.MemoryBytes>>20, thousands(l.MemoryBytes)),
		fmt.Sprintf("| size of each file written | %s KiB |", thousands(l.FileBytes>>10)),
		fmt.Sprintf("| processes and threads | %d |", l.Processes),
		fmt.Sprintf("| open files of a process | %d |", l.OpenFiles),
		fmt.Sprintf("| `/tmp` | %d MiB, in memory |", l.TmpBytes>>20),
		fmt.Sprintf("| stdout, and stderr | %d MiB each |", l.OutputBytes>>20),
		fmt.Sprintf("| result | %d MiB of JSON |", l.ResultBytes>>20),
		fmt.Sprintf("| files in `outputs/` | %d, together %d MiB |", l.OutputFiles, l.OutputFilesBytes>>20),
	)
}

func readDocument(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// thousands formats a number with a comma before each group of three digits.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func wantProse(t *testing.T, name, text string, all ...string) {
	t.Helper()
	for _, prose := range all {
		if !strings.Contains(text, prose) {
			t.Errorf("%s does not have %q", name, prose)
		}
	}
}
