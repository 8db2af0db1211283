package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readText reads a file of the repository.
func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestPythonPage: each line of docs/python.md that names its test names an existing case or
// attempt, and each case of differences.yaml is on the page.
func TestPythonPage(t *testing.T) {
	t.Parallel()
	page := readText(t, "docs/python.md")
	known := map[string]bool{}
	for _, pattern := range []string{"cases/*.yaml", "cases/public/*.yaml"} {
		for topic, cases := range loadCases(t, pattern) {
			for _, c := range cases {
				known[c.Name], known[c.title()] = true, true
				if topic == "differences" && !strings.Contains(page, "`"+c.Name+"`") {
					t.Errorf("the page does not name the case %q", c.Name)
				}
			}
		}
	}
	tables := strings.Split(page, "| held by |\n")[1:]
	if len(tables) < 4 {
		t.Fatalf("%d tables name what holds them", len(tables))
	}
	for _, table := range tables {
		table, _, _ = strings.Cut(table, "\n\n")
		for line := range strings.Lines(table) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			checkHolders(t, line, cells[len(cells)-1], known)
		}
	}
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

func checkHolders(t *testing.T, line, cell string, known map[string]bool) {
	t.Helper()
	names := codeSpan.FindAllStringSubmatch(cell, -1)
	if len(names) == 0 && !strings.HasPrefix(line, "|---") {
		t.Errorf("nothing holds the line %q", line)
	}
	for _, name := range names {
		_, err := os.Stat("../escape/attempts/" + name[1] + ".py")
		if !known[name[1]] && err != nil {
			t.Errorf("neither a case nor an attempt is called %q", name[1])
		}
	}
}

// TestPackages: the page, the pinned requirements, and the packages that a script finds agree.
func TestPackages(t *testing.T) {
	t.Parallel()
	page := readText(t, "docs/python.md")
	pinned := regexp.MustCompile(`(?m)^([a-z-]+)==(\S+)`).FindAllStringSubmatch(
		readText(t, "environments/default/requirements.txt"), -1)
	var all []string
	for _, pin := range pinned {
		all = append(all, pin[1]+" "+pin[2])
		if !regexp.MustCompile(`(?m)^\| ` + pin[1] + ` \|.*\b` + regexp.QuoteMeta(pin[2]) + `\b`).MatchString(page) {
			t.Errorf("the page does not have %s %s", pin[1], pin[2])
		}
	}
	a := execute(t, defaultStack().URL, `
import importlib.metadata
def main():
    return [f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions()]
`)
	var found []string
	decode(t, a.Result, &found)
	for _, each := range found {
		if !slices.Contains(all, each) {
			t.Errorf("a script finds %s, which is not pinned", each)
		}
	}
	if len(found) < 10 {
		t.Errorf("a script finds only %q", found)
	}
}
