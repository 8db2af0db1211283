package mutation

import (
	"os"
	"path/filepath"
	"testing"
)

// CheckEdits checks that the edits of each mutant still apply to the repository at root. Running all mutants takes too
// long for every change.
func CheckEdits(t *testing.T, root string, mutants []Mutant) {
	t.Helper()
	t.Chdir(root)
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			tree := t.TempDir()
			for _, e := range m.Edits {
				to := filepath.Join(tree, e.File)
				if _, err := os.Stat(to); err != nil {
					if err := copyFile(e.File, to); err != nil {
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
