package owndir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// other is a user other than root and the user who runs the tests.
const other = 54321

// changeOwner makes another user the owner of path, which needs root.
func changeOwner(t *testing.T, path string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root")
	}
	if err := os.Chown(path, other, other); err != nil {
		t.Fatal(err)
	}
}

// A folder is accepted or refused by its owner, its type, and the write permissions on it and its parent.
func TestMake(t *testing.T) {
	t.Parallel()
	do := func(t *testing.T, errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := map[string]struct {
		prepare func(t *testing.T, shared, path string)
		refused string
	}{
		"not there": {func(*testing.T, string, string) {}, ""},
		"its own":   {func(t *testing.T, _, path string) { t.Helper(); do(t, os.Mkdir(path, 0o755)) }, ""},
		"another user's": {func(t *testing.T, _, path string) {
			t.Helper()
			do(t, os.Mkdir(path, 0o755))
			changeOwner(t, path)
		}, "belongs to user 54321"},
		"others write into it": {
			func(t *testing.T, _, path string) {
				t.Helper()
				do(t, os.Mkdir(path, 0o755), os.Chmod(path, 0o777))
			},
			"other users may write into",
		},
		"the group writes into it": {
			func(t *testing.T, _, path string) {
				t.Helper()
				do(t, os.Mkdir(path, 0o755), os.Chmod(path, 0o775))
			},
			"other users may write into",
		},
		"a link": {func(t *testing.T, _, path string) {
			t.Helper()
			do(t, os.Symlink(t.TempDir(), path))
		}, "is a symbolic link"},
		"a link to nothing": {func(t *testing.T, _, path string) {
			t.Helper()
			do(t, os.Symlink("/nonexistent/x", path))
		}, "x"},
		"a file": {func(t *testing.T, _, path string) {
			t.Helper()
			do(t, os.WriteFile(path, nil, 0o600))
		}, "not a directory"},
		"a folder without the sticky bit above": {func(t *testing.T, shared, path string) {
			t.Helper()
			do(t, os.Mkdir(path, 0o755), os.Chmod(shared, 0o777))
		}, "other users may replace"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := t.TempDir()
			do(t, os.Chmod(shared, 0o777|os.ModeSticky)) // as /tmp is
			path := filepath.Join(shared, "cellblock")
			test.prepare(t, shared, path)
			err := Make(path, 0o755)
			if test.refused == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)) {
				t.Errorf("got %v, want %q", err, test.refused)
			}
		})
	}
}

// A link is followed only if its owner alone can have created it.
func TestMakeFollowsAnOwnLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), path); err != nil {
		t.Fatal(err)
	}
	if err := Make(path, 0o755); err != nil {
		t.Error(err)
	}
	changeOwner(t, filepath.Join(dir, "link")) // changes the target's owner
	if err := Make(path, 0o755); err == nil {
		t.Error("a link to another user's folder was taken")
	}
}
