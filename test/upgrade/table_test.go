package upgrade

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The cells of the table.
const (
	holds  = "yes"
	waits  = "waits"
	absent = "none"
	broken = "**no**"
)

const operations = repository + "/docs/operations.md"

var (
	cellsMu sync.Mutex
	// cells has the observations, by kind and then in the order of pairs.
	cells = map[string][]string{}
)

// record fills a column.
func record(column int, has [2]features, waiting map[string]bool, errs map[string]error) {
	cellsMu.Lock()
	defer cellsMu.Unlock()
	for _, k := range kinds {
		if cells[k.name] == nil {
			cells[k.name] = make([]string, len(pairs))
		}
		cell := holds
		switch {
		case errs[k.name] != nil:
			cell = broken
		case k.has != nil && !k.has(has[0], has[1]):
			cell = absent
		case waiting[k.name]:
			cell = waits
		}
		cells[k.name][column] = cell
	}
}

// markdown is the table, as docs/operations.md has it.
func markdown() string {
	cellsMu.Lock()
	defer cellsMu.Unlock()
	var b strings.Builder
	b.WriteString("| API, workers | old, old | old, new | new, old | new, new | old → new | new → old |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, strings.Join(cells[k.name], " | "))
	}
	return b.String()
}

// TestTable compares the table with the document's. It comes after TestPairs in this package.
func TestTable(t *testing.T) { //nolint:paralleltest // reads what TestPairs has seen
	if os.Getenv("UPGRADE_FROM") != "" {
		t.Logf("the table of docs/operations.md is of %s, and this one of %s", documentedCommit(), before)
		return
	}
	if documentedCommit() != before {
		t.Errorf("docs/operations.md names the version %s, and the version before is %s", documentedCommit(), before)
	}
	content, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	if want := markdown(); !strings.Contains(string(content), "\n"+want+"\n") {
		t.Errorf("docs/operations.md must have this table:\n%s", want)
	}
}

// documentedCommit returns the commit of the old version in docs/operations.md, "" for none.
func documentedCommit() string {
	content, err := os.ReadFile(operations)
	if err != nil {
		return ""
	}
	found := regexp.MustCompile("the version before is `([0-9a-f]+)`").FindSubmatch(content)
	if found == nil {
		return ""
	}
	return string(found[1])
}
