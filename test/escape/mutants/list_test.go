package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEditsApply checks that each mutant's edits still apply. Running all mutants takes too long for every change.
func TestEditsApply(t *testing.T) {
	t.Chdir("../../..")
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			tree := t.TempDir()
			for _, e := range m.edits {
				to := filepath.Join(tree, e.file)
				if _, err := os.Stat(to); err != nil {
					if err := copyFile(e.file, to); err != nil {
						t.Fatal(err)
					}
				}
				if err := e.apply(tree); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
