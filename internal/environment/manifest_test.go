package environment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func example(name string) Manifest {
	return Manifest{
		Name: name, Python: "3.11.2", Hash: strings.Repeat("0a", 32), Start: StartOnDemand,
		Preload: []string{"numpy"}, Exercises: []string{},
		Packages: []Package{{Name: "numpy", Version: "2.4.6", Imports: []string{"numpy"}}},
	}
}

// TestList: an environment is a link to a folder with a manifest; all else in the folder is none.
func TestList(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if all, err := List(filepath.Join(root, "absent")); len(all) > 0 || err != nil {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	for _, dir := range []string{".one-000000000001", ".two-000000000002", ".half-000000000003", "folder"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"one": ".one-000000000001", "half": ".half-000000000003", "two": ".one-000000000001",
		".three.link": "x", "UP": "x",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	one := example("one")
	if err := one.Save(filepath.Join(root, ".one-000000000001")); err != nil {
		t.Fatal(err)
	}
	all, err := List(root)
	if len(all) != 1 || all[0].Dir != filepath.Join(root, ".one-000000000001") {
		t.Fatalf("listed %v", all)
	}
	if diff := cmp.Diff(one, all[0].Manifest); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{".half-000000000003", "is the environment one, and is linked as two"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word on %s: %v", want, err)
		}
	}
	for name, want := range map[string]error{"one": nil, "absent": fs.ErrNotExist, "half": fs.ErrNotExist} {
		if _, err := Open(root, name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(root, "../one"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path as a name: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0", 64)
	for _, text := range []string{
		"", "{", `{"name": "x"}`,
		`{"name": "X", "hash": "` + hash + `", "python": "3", "start": "always"}`,
		`{"name": "x", "hash": "` + hash + `", "python": "3", "start": "never"}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ManifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := Load(dir); err == nil {
			t.Errorf("%q was read as %+v", text, m)
		}
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := filepath.Join(dir, "lib", "python3.13", "site-packages")
	for folder, files := range map[string][2]string{
		"Scikit_Learn-1.7.dist-info": {
			"Metadata-Version: 2.1\nName: Scikit_Learn\nVersion: 1.7\n\nName: not this\n",
			"sklearn/__init__.py,,\nsklearn/tests/x.py,,\n../../../bin/tool,,\n__pycache__/y.py,,\n" +
				"scikit_learn.libs/z.so,,\n",
		},
		"six-1.dist-info": {
			"Name: six\r\nVersion: 1\r\n\r\n",
			"six.py,,\n_speed.cpython-313-x86_64-linux-gnu.so,,\nfast.abi3.so,,\nsix-1.dist-info/RECORD,,\n" +
				"\"data,1/a.txt\",,\n",
		},
	} {
		if err := os.MkdirAll(filepath.Join(site, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"METADATA", "RECORD"} {
			if err := os.WriteFile(filepath.Join(site, folder, name), []byte(files[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := Packages(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{
		{Name: "scikit-learn", Version: "1.7", Imports: []string{"sklearn"}},
		{Name: "six", Version: "1", Imports: []string{"_speed", "fast", "six"}},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}
