package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"cellblock/api"
	"cellblock/client"
)

// docs/cli.md lists the exit status for each code of the contract.
func TestDocumentedStatusesAreReal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Exit status")
	documented := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		for code := range strings.SplitSeq(row[2], ", ") {
			documented[strings.Trim(code, "`")] = row[1]
		}
	}
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		t.Fatal(err)
	}
	codes := doc.Components.Schemas["ErrorCode"].Value.Enum
	for _, code := range codes {
		status := fmt.Sprint(statusOf(&client.Error{Code: client.Code(fmt.Sprint(code))}))
		if documented[fmt.Sprint(code)] != status {
			t.Errorf("%s has status %s, and docs/cli.md has %q", code, status, documented[fmt.Sprint(code)])
		}
	}
	if delete(documented, ""); len(documented) != len(codes) {
		t.Errorf("docs/cli.md has %d codes, the contract %d", len(documented), len(codes))
	}
}
