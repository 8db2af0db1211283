package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// attemptNames matches what stands in the last column of SECURITY.md's tables of holes.
var attemptNames = regexp.MustCompile("`([a-z]+/[a-z_0-9]+)`")

// TestSecurityNamesAttempts checks that each attempt that SECURITY.md names is in test/escape/attempts.
func TestSecurityNamesAttempts(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	others, named := 0, 0
	for _, match := range attemptNames.FindAllSubmatch(document, -1) {
		folder, name := filepath.Split(string(match[1]))
		if _, err := os.Stat(filepath.Join("../attempts", folder)); err != nil {
			others++ // a path of this repository, such as test/verdicts
			continue
		}
		named++
		if _, err := os.Stat(filepath.Join("../attempts", folder, name+".py")); err != nil {
			t.Errorf("SECURITY.md names the attempt %s, which is not there", match[1])
		}
	}
	if named < 15 {
		t.Errorf("found %d names of attempts, and %d other paths", named, others)
	}
}
