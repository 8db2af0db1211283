package httpapi

import (
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

var (
	errorRow   = regexp.MustCompile("(?m)^\\| (\\d{3}) \\| (`[^|]+`) \\|")
	quotedCode = regexp.MustCompile("`([a-z_]+)`")
)

// TestDocumentedErrors checks that the table of docs/api.md has every code with its status, and no other.
func TestDocumentedErrors(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## Errors\n")
	documented := map[jobs.Code]int{}
	for _, row := range errorRow.FindAllStringSubmatch(section, -1) {
		status, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range quotedCode.FindAllStringSubmatch(row[2], -1) {
			documented[jobs.Code(code[1])] = status
		}
	}
	if !maps.Equal(documented, statuses) {
		t.Errorf("docs/api.md has %v, the API %v", documented, statuses)
	}
}
