package tenants

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// named matches the groups and attempts in SECURITY.md.
var named = regexp.MustCompile("`([a-z]+/(?:[a-z_]+)?)`")

// TestSecurityNamesAttempts checks that the groups and attempts that SECURITY.md names are there, and that it names
// each group.
func TestSecurityNamesAttempts(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(document), "\n### Between tenants\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("there is no such section")
	}
	all := slices.Concat(attempts(), timingAttempts(), limitAttempts())
	for _, match := range named.FindAllStringSubmatch(section, -1) {
		if match[1] == "test/tenants" {
			continue
		}
		if !slices.ContainsFunc(all, func(a attempt) bool { return strings.HasPrefix(a.name, match[1]) }) {
			t.Errorf("there is no attempt %s", match[1])
		}
	}
	for _, a := range all {
		group, _, _ := strings.Cut(a.name, "/")
		if !strings.Contains(section, "`"+group+"/") {
			t.Errorf("SECURITY.md does not name the group of %s", a.name)
		}
	}
}
