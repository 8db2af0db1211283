package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/internal/environment"
)

// TestBuild follows an environment through its versions, while a reader opens it again and again.
func TestBuild(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tiny := f.wheel(t, "Tiny_Package", "1.2", map[string]string{
		"tiny/__init__.py": "value = 7\n", "tiny_extra.py": "import missing\n",
	})
	f.source(t, "tiny", `description = "First"
preload = ["tiny"]
exercises = ["def main():\n    import tiny"]
`, tiny)
	first := f.build(t, "tiny", quiet())
	want := environment.Package{Name: "tiny-package", Version: "1.2", Imports: []string{"tiny"}}
	if !first.Changed || len(first.Packages) != 1 || fmt.Sprint(first.Packages[0]) != fmt.Sprint(want) {
		t.Fatalf("built %+v", first)
	}
	if len(first.Warnings) != 1 || !strings.Contains(first.Warnings[0], "tiny_extra") {
		t.Errorf("warnings: %q", first.Warnings)
	}
	checkTree(t, first.Installed)
	if again := f.build(t, "tiny", quiet()); again.Changed || again.Dir != first.Dir {
		t.Errorf("built an unchanged environment again: %+v", again)
	}

	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() { readUntil(ctx, t, f.Root) })
	f.source(t, "tiny", "description = \"Second\"\n", tiny)
	second := f.build(t, "tiny", quiet())
	forced := quiet()
	forced.Force = true
	third := f.build(t, "tiny", forced)
	stop()
	readers.Wait()

	if first.Hash == second.Hash || second.Hash != third.Hash || second.Dir == third.Dir {
		t.Errorf("versions: %s %s, %s %s, %s %s",
			first.Hash, first.Dir, second.Hash, second.Dir, third.Hash, third.Dir)
	}
	// The version before the present one stays for the jobs that run in it.
	wanted := []string{filepath.Base(second.Dir), filepath.Base(third.Dir), "tiny"}
	if found := f.entries(t); !slices.Equal(found, wanted) {
		t.Errorf("on disk: %v, want %v", found, wanted)
	}
	if err := Remove(t.Context(), f.Settings, "tiny", quiet().Progress); err != nil || len(f.entries(t)) > 0 {
		t.Errorf("after the removal: %v, %v", err, f.entries(t))
	}
	if err := Remove(t.Context(), f.Settings, "tiny", quiet().Progress); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed what is not there: %v", err)
	}
}

// readUntil reads the present version until ctx is done: it is always whole.
func readUntil(ctx context.Context, t *testing.T, root string) {
	reads := time.NewTicker(2 * time.Millisecond)
	defer reads.Stop()
	for ctx.Err() == nil {
		<-reads.C
		found, err := environment.Open(root, "tiny")
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := os.Stat(filepath.Join(found.Dir, sumsFile)); err != nil {
			t.Error(err)
			return
		}
	}
}

// checkTree checks the files of a version.
func checkTree(t *testing.T, installed environment.Installed) {
	t.Helper()
	python := func(program string) error {
		out, err := unprivilegedPython(t.Context(), installed.Dir, "-c", program).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := python("import tiny; assert tiny.value == 7"); err != nil {
		t.Errorf("a user without rights: %v", err)
	}
	if err := python("import pip"); err == nil {
		t.Error("pip is still there")
	}
	site := filepath.Join(installed.Dir, "lib", "python*", "site-packages")
	compiled, _ := filepath.Glob(filepath.Join(site, "tiny", "__pycache__", "*.pyc"))
	if len(compiled) != 1 {
		t.Fatalf("compiled: %v", compiled)
	}
	header, err := os.ReadFile(compiled[0])
	if err != nil || header[4] != 1 { // PEP 552: by hash, never checked
		t.Errorf("the bytecode's kind is %d, %v", header[4], err)
	}
	if _, err := CheckFiles(t.Context(), installed.Dir); err != nil {
		t.Error(err)
	}
	if n, err := CheckImports(t.Context(), installed); n != 2 || err != nil { // preloaded, and the package's
		t.Errorf("%d imports, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(installed.Dir, "lib", "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(compiled[0], []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = CheckFiles(t.Context(), installed.Dir)
	for _, want := range []string{"lib/new was added", ".pyc was changed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word on %s: %v", want, err)
		}
	}
}

// TestConcurrentBuilds: one of two builds, and the other one waits for it. Then others fail, and change nothing.
func TestConcurrentBuilds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.wheel(t, "good", "1", map[string]string{"good.py": ""})
	f.source(t, "safe", "", good)
	var changed [2]bool
	var builds sync.WaitGroup
	for i := range changed {
		builds.Go(func() {
			result, err := Build(t.Context(), f.Settings, "safe", quiet())
			if err != nil {
				t.Error(err)
				return
			}
			changed[i] = result.Changed
		})
	}
	builds.Wait()
	before := f.entries(t)
	if changed[0] == changed[1] || len(before) != 2 {
		t.Errorf("built by: %v; on disk: %v", changed, before)
	}
	fails := func(name, want string, o Options) {
		t.Helper()
		if _, err := Build(t.Context(), f.Settings, "safe", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if found := f.entries(t); !slices.Equal(found, before) {
			t.Errorf("%s left %v, and before there was %v", name, found, before)
		}
	}
	at := strings.Index(good, "sha256:") + len("sha256:")
	f.source(t, "safe", "", good[:at]+strings.Repeat("0", 64)+"\n")
	fails("a wrong hash", "DO NOT MATCH THE HASHES", quiet())
	status, err := Find(t.Context(), f.Settings, "safe")
	if err != nil || status.State != StateChanged || status.Hash == "" {
		t.Errorf("%+v, %v", status, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	interrupt := quiet()
	interrupt.Progress = func(step, _ string) {
		if step == "compiling" {
			cancel()
		}
	}
	f.source(t, "safe", "description = \"Interrupted\"", good)
	if _, err := Build(ctx, f.Settings, "safe", interrupt); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if found := f.entries(t); !slices.Equal(found, before) {
		t.Errorf("an interruption left %v, and before there was %v", found, before)
	}
}

// TestSourceDistribution: its setup would run as root.
func TestSourceDistribution(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mark := filepath.Join(f.wheels, "setup-ran")
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	w := tar.NewWriter(zipped)
	for name, text := range map[string]string{
		"setup.py": fmt.Sprintf("open(%q, 'w')\n", mark), "PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
	} {
		header := tar.Header{Name: "evil-1/" + name, Mode: 0o644, Size: int64(len(text))}
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.wheels, "evil-1.tar.gz")
	if err := os.WriteFile(file, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf(" --hash=sha256:%x\n", sha256.Sum256(archive.Bytes()))
	for _, line := range []string{"evil==1", "evil @ file://" + file, file, "--no-binary evil\nevil==1"} {
		f.source(t, "evil", "", line+hash)
		if _, err := Build(t.Context(), f.Settings, "evil", quiet()); err == nil {
			t.Errorf("%s was built", line)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("%s: its setup ran", line)
		}
	}
}

// TestLockThatChangesDuringABuild: what was checked is installed, from a folder beside the lock file.
func TestLockThatChangesDuringABuild(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.wheel(t, "good", "1", map[string]string{"good.py": ""})
	other := f.wheel(t, "other", "1", map[string]string{"other.py": ""})
	lock := filepath.Join(f.Sources, "safe", lockFile)
	f.source(t, "safe", "", good)
	if err := os.Rename(f.wheels, filepath.Join(f.Sources, "safe", "my-wheels")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, []byte("--no-index --find-links my-wheels\n"+good), 0o644); err != nil {
		t.Fatal(err)
	}
	changing := quiet()
	changing.Progress = func(step, _ string) {
		if step != "installing packages" {
			return
		}
		if err := os.WriteFile(lock, []byte("--no-index --find-links my-wheels\n"+other), 0o644); err != nil {
			t.Error(err)
		}
	}
	built := f.build(t, "safe", changing)
	if len(built.Packages) != 1 || built.Packages[0].Name != "good" {
		t.Errorf("installed %+v", built.Packages)
	}
}

// TestLeftovers: what a killed build left is not used, and is removed by the next of its name.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	p := Settings{Root: root}.place("half")
	for _, dir := range []string{
		".half-000000000001", ".half-000000000002", ".half-000000000002.2", ".half-other-000000000003", ".half-x",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(".half-000000000001", filepath.Join(root, "half")),
		os.Symlink("nowhere", filepath.Join(root, ".half.link"))); err != nil {
		t.Fatal(err)
	}
	if err := p.clean(); err != nil {
		t.Fatal(err)
	}
	fixture := fixture{Settings: Settings{Root: root}}
	wanted := []string{".half-000000000001", ".half-other-000000000003", ".half-x", ".half.link", "half"}
	if found := fixture.entries(t); !slices.Equal(found, wanted) {
		t.Errorf("on disk: %v, want %v", found, wanted)
	}
	if all, err := environment.List(root); len(all) > 0 || err == nil { // the link's folder has no manifest
		t.Errorf("listed %v, %v", all, err)
	}
	if err := p.publish(filepath.Join(root, ".half-x")); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(root, "half")); target != ".half-x" {
		t.Errorf("linked to %s, %v", target, err)
	}
}

// TestCleanKeepsThePresentVersionInALinkedRoot: the path to the root may contain a symbolic link.
func TestCleanKeepsThePresentVersionInALinkedRoot(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "real")
	linked := folder + ".link"
	for _, dir := range []string{".one-000000000001", ".one-000000000002"} {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(folder, linked),
		os.Symlink(".one-000000000001", filepath.Join(folder, "one"))); err != nil {
		t.Fatal(err)
	}
	if err := (Settings{Root: linked}).place("one").clean(); err != nil {
		t.Fatal(err)
	}
	wanted := []string{".one-000000000001", "one"}
	if found := (fixture{Settings: Settings{Root: folder}}).entries(t); !slices.Equal(found, wanted) {
		t.Errorf("on disk: %v, want %v", found, wanted)
	}
}

// TestImports tries modules that fail, in the Python of this machine.
func TestImports(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := filepath.Join(f.Root, "venv")
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-m", "venv", "--without-pip", dir).
		CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	site, _ := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages"))
	for name, text := range map[string]string{
		"fine": "", "exits": "raise SystemExit(2)\n", "raises": "raise OSError('no libfoo.so')\n",
		"ends": "import os\nos._exit(3)\n",
	} {
		if err := os.WriteFile(filepath.Join(site[0], name+".py"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, want    string
		preload       []string
		imports       []string
		exercises     []string
		left, warning int
	}{
		{name: "all is well", imports: []string{"fine"}, exercises: []string{"def main():\n    import fine"}, left: 1},
		{name: "one of two", imports: []string{"fine", "raises"}, left: 1, warning: 1},
		{name: "exits", imports: []string{"exits"}, want: "the package p cannot be imported: SystemExit: 2"},
		{name: "raises", imports: []string{"raises"}, want: "the package p cannot be imported: OSError: no libfoo.so"},
		{name: "ends the process", imports: []string{"fine", "ends"}, want: "ends ends the interpreter"},
		{name: "preload", preload: []string{"absent"}, want: "absent fails: ModuleNotFoundError"},
		{name: "exercise", exercises: []string{"def main():\n    1 / 0"}, want: "exercise 1 fails: ZeroDivisionError"},
	} {
		m := &environment.Manifest{
			Preload: c.preload, Exercises: c.exercises,
			Packages: []environment.Package{{Name: "p", Imports: c.imports}},
		}
		var warnings []string
		failed, err := tryImports(t.Context(), dir, m)
		if err == nil {
			warnings, err = withoutFailed(m, failed)
		}
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || len(m.Packages[0].Imports) != c.left || len(warnings) != c.warning {
			t.Errorf("%s: %v, %q, %v", c.name, m.Packages, warnings, err)
		}
	}
}

// TestBuildDefault: default is the folder CELLBLOCK_PREFIX itself, which may be another's.
func TestBuildDefault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Prefix = filepath.Join(f.Root, "prefix")
	f.source(t, environment.DefaultName, "", f.wheel(t, "one", "1", map[string]string{"one.py": ""}))
	if err := os.MkdirAll(filepath.Join(f.Prefix, "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Build(t.Context(), f.Settings, environment.DefaultName, quiet())
	if err == nil || !strings.Contains(err.Error(), "was not made by this program") {
		t.Errorf("got %v", err)
	}
	// What the version before environments made is replaced.
	if err := os.WriteFile(filepath.Join(f.Prefix, ".cellblock-setup"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	built := f.build(t, environment.DefaultName, quiet())
	if found := f.entries(t); built.Dir != f.Prefix || !slices.Equal(found, []string{"prefix"}) {
		t.Errorf("built in %s; on disk: %v", built.Dir, found)
	}
	if _, err := environment.Load(f.Prefix); err != nil || exists(filepath.Join(f.Prefix, "photos")) {
		t.Errorf("the folder before is still there, or: %v", err)
	}
	if again := f.build(t, environment.DefaultName, quiet()); again.Changed {
		t.Error("built again")
	}
	if err := Remove(t.Context(), f.Settings, environment.DefaultName, quiet().Progress); err == nil {
		t.Error("default was removed")
	}
}
