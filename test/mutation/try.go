package mutation

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// try builds a mutant and runs its attempts. caught means that an attempt succeeded, not that the service did not
// start.
func (s Suite) try(m Mutant, dir, program, unchanged string) (verdict string, caught bool) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := s.build(ctx, m, dir, unchanged); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return "BROKEN", false
	}
	env := append([]string{s.Programs + "=" + filepath.Join(dir, "bin")}, m.Env...)
	out, err := command(ctx, s.Folder, env, program, "-test.run", m.Tests)
	switch {
	case err == nil:
		return "SURVIVED", false
	case !bytes.Contains(out, []byte(s.Evidence)):
		fmt.Fprintf(os.Stderr, "%s: no attempt succeeded:\n%.3000s\n", m.Name, out)
		return "BROKEN", false
	}
	return "caught", true
}

// build copies the repository, removes the protection and builds the programs, beside those in unchanged.
func (s Suite) build(ctx context.Context, m Mutant, dir, unchanged string) error {
	files, err := command(ctx, ".", nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return fmt.Errorf("%s: list the files: %w", m.Name, err)
	}
	tree := filepath.Join(dir, "tree")
	for file := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		if err := copyFile(file, filepath.Join(tree, file)); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	for _, e := range m.Edits {
		if err := e.apply(tree); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	// -trimpath, so that the trees, which have different paths, share compiled packages.
	bin := filepath.Join(dir, "bin")
	args := append([]string{"build", "-trimpath", "-o", bin + "/"}, s.Mutated...)
	if out, err := command(ctx, tree, nil, "go", args...); err != nil {
		return fmt.Errorf("%s: %w\n%s", m.Name, err, out)
	}
	for _, name := range s.Unchanged {
		name = filepath.Base(name)
		if err := os.Symlink(filepath.Join(unchanged, name), filepath.Join(bin, name)); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

func (e Edit) apply(tree string) error {
	path := filepath.Join(tree, e.File)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if bytes.Count(content, []byte(e.From)) != 1 {
		return fmt.Errorf("%s must have this once: %q", e.File, e.From)
	}
	return os.WriteFile(path, bytes.Replace(content, []byte(e.From), []byte(e.To), 1), 0o600)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if os.IsNotExist(err) {
		return nil // deleted, but not yet committed
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), time.Second
	return cmd.CombinedOutput()
}
