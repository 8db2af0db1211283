package environment

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCheckApart: a script sees all that lies in a mounted directory, also through symbolic links.
func TestCheckApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "prefix"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("prefix", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for root, apart := range map[string]bool{
		"prefix": false, "prefix/environments": false, "link/absent/environments": false, "prefix/../prefix": false,
		"prefix-environments": true, "other": true, ".": true,
	} {
		root = filepath.Join(dir, root)
		for _, prefix := range []string{"prefix", "link"} {
			if err := CheckApart(root, filepath.Join(dir, prefix)); (err == nil) != apart {
				t.Errorf("%s and %s: %v", root, prefix, err)
			}
		}
	}
	for root, apart := range map[string]bool{
		"/usr/lib/environments": false, "/lib": false, "/usr/local/environments": true, "/usr": true, "/opt/x": true,
	} {
		if err := CheckApart(root); (err == nil) != apart {
			t.Errorf("%s: %v", root, err)
		}
	}
}
