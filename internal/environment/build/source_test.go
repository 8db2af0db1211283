package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/internal/environment"
)

// TestRefusedBeforeAnythingIsMade: names, source folders and Pythons that cannot be.
func TestRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	const never = "/var/tmp/cellblock-env-never-made"
	s := Settings{Sources: t.TempDir(), Root: never, Prefix: never + "-prefix"}
	write := func(name, lock, spec string) {
		dir := filepath.Join(s.Sources, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{lockFile: lock, specFile: spec} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	const pinned = "numpy==1 --hash=sha256:00\n"
	for _, c := range []struct{ name, lock, spec, want string }{
		{"../up", "", "", "no name of an environment"},
		{"/etc", "", "", "no name of an environment"},
		{".hidden", "", "", "no name of an environment"},
		{"Upper", "", "", "no name of an environment"},
		{"", "", "", "no name of an environment"},
		{strings.Repeat("a", 64), "", "", "no name of an environment"},
		{"absent", "", "", "there is no folder"},
		{"python", pinned, `python = "3.99"`, "looked for /usr/bin/python3.99"},
		{"old", pinned, `python = "2.7"`, "must be a version"},
		{"no-python", pinned, `python = "/nowhere/python3"`, "looked for /nowhere/python3"},
		{"relative", pinned, `python = "bin/python3"`, "absolute path"},
		{"unknown", pinned, `preloads = ["numpy"]`, "unknown members"},
		{"syntax", pinned, `preload = [`, "environment.toml"},
		{"start", pinned, `start = "sometimes"`, "on-demand"},
		{"preload", pinned, `preload = ["scikit-learn"]`, "use the names that scripts import"},
		{"exercise", pinned, `exercises = ["1 + 1"]`, "exercise 1 has no main()"},
		{
			"long-exercises", pinned,
			fmt.Sprintf("exercises = ['''def main(): %s''']", strings.Repeat("\n    pass", 8<<10)), "together have",
		},
		{"lines", pinned, `description = "a\nb"`, "one line"},
		{"unpinned", "numpy>=1\n", "", "pinned by =="},
		{"url", "numpy @ https://example.org/numpy.tar.gz --hash=sha256:00\n", "", "pinned by =="},
		{"option", pinned + "--no-binary numpy\n", "", "has an option"},
		{"continued", "--no-binary \\\nnumpy\n", "", "has an option"},
		{"editable", "-e .\n", "", "has an option"},
		{"none", "--only-binary :none:\n" + pinned, "", "has an option"},
		{"none-joined", "--only-binary=:none:\n" + pinned, "", "has an option"},
		{"second-option", "--no-index --only-binary :none:\n" + pinned, "", "has an option"},
		{"quoted", "--find-links 'x' --no-binary y\n" + pinned, "", "has an option"},
		{"of-requirement", "numpy==1 --hash=sha256:00 --no-binary numpy\n", "", "pinned by =="},
		{"after-comment", "# x \\\n--no-binary numpy\n" + pinned, "", "has an option"},
		{"line-break", "numpy==1 --hash=sha256:00\u2028--no-binary numpy\n", "", "end of a line"},
		{"second-include", "--no-index -r other.txt\n", "", "reads another file"},
		{"include", "-r other.txt\n", "", "reads another file"},
		{"constraint", "--constraint=other.txt\n", "", "reads another file"},
	} {
		if c.lock != "" {
			write(c.name, c.lock, c.spec)
		}
		_, err := Build(t.Context(), s, c.name, quiet())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if exists(s.Root) {
		t.Errorf("%s was made", s.Root)
	}
	s.Root = "/tmp/cellblock-env"
	_, err := Build(t.Context(), s, "start", quiet())
	if err == nil || !strings.Contains(err.Error(), "lies below /tmp") {
		t.Errorf("a hidden folder: %v", err)
	}
	// default would have all environments in it.
	for _, root := range []string{s.Prefix, s.Prefix + "/environments", "/usr/lib/environments"} {
		s.Root = root
		_, err := Build(t.Context(), s, environment.DefaultName, quiet())
		if err == nil || !strings.Contains(err.Error(), "would see every environment") {
			t.Errorf("%s: %v", root, err)
		}
	}
}

// TestRootInTheInterpretersFolder: each job would see all environments in it.
func TestRootInTheInterpretersFolder(t *testing.T) {
	t.Parallel()
	const base = "/var/tmp/cellblock-python-never-made"
	s := Settings{Root: base + "/environments"}
	if err := s.checkPython(interpreter{Path: base + "/bin/python3", Base: base}); err == nil {
		t.Error("it was accepted")
	}
	if err := s.checkPython(interpreter{Path: "/usr/bin/python3", Base: "/usr"}); err != nil {
		t.Error(err)
	}
}

// TestHarmlessOptions: the options that only choose among wheels are accepted.
func TestHarmlessOptions(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"--only-binary :all:", "--only-binary=:all:", "--no-index --find-links=wheels", "-i https://example.org/simple",
		"numpy[extra] == 1 ; python_version >= '3.11' \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n    # via x",
	} {
		if err := checkLock([]byte(line+"\n"), false); err != nil {
			t.Error(err)
		}
	}
}

// TestOwnSources: the source folders of the project can be built.
func TestOwnSources(t *testing.T) {
	t.Parallel()
	const root = "../../../environments"
	names := SourceNames(root)
	if len(names) < 2 {
		t.Fatalf("found %v", names)
	}
	for _, name := range names {
		source, err := ReadSource(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkLock(source.Lock, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if source.Spec.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
}
