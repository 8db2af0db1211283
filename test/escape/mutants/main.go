// Command mutants removes the protections of a sandbox, one at a time, in a copy of this repository, and runs the
// attempts of the escape suite that must then succeed: an attempt that fails without its protection too tests nothing.
// It needs the same as the escape suite, and git.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mutantBound is the timeout of one mutant: to build, start and run it.
const mutantBound = 3 * time.Minute

func main() {
	only := flag.String("run", "", "regular expression for the mutants' names")
	parallel := flag.Int("parallel", 2, "how many at once")
	flag.Parse()
	survived, err := run(regexp.MustCompile(*only), *parallel)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if survived > 0 {
		fmt.Fprintf(os.Stderr, "%d mutants were not caught\n", survived)
		os.Exit(1)
	}
}

func run(only *regexp.Regexp, parallel int) (survived int, err error) {
	dir, err := os.MkdirTemp("", "cellblock-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	suite := filepath.Join(dir, "escape.test")
	if out, err := command(context.Background(), ".", nil, "go", "test", "-c", "-o", suite,
		"./test/escape"); err != nil {
		return 0, fmt.Errorf("build the suite: %w\n%s", err, out)
	}
	var all sync.WaitGroup
	var counting sync.Mutex
	slots := make(chan struct{}, parallel)
	for i, m := range mutants {
		if !only.MatchString(m.name) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			verdict, caught := try(m, filepath.Join(dir, strconv.Itoa(i)), suite)
			fmt.Printf("%-8s %s  %-44s %4.0f s\n", verdict, m.sandbox, m.name, time.Since(began).Seconds())
			if !caught {
				counting.Lock()
				survived++
				counting.Unlock()
			}
		})
	}
	all.Wait()
	return survived, nil
}

// try builds a mutant and runs its attempts. caught means that a test failed, not that the service did not start.
func try(m mutant, dir, suite string) (verdict string, caught bool) {
	ctx, cancel := context.WithTimeout(context.Background(), mutantBound)
	defer cancel()
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := build(ctx, m, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return "BROKEN", false
	}
	out, err := command(ctx, "test/escape", []string{
		"ESCAPE_PROGRAMS=" + filepath.Join(dir, "bin"), "ESCAPE_SANDBOXES=" + m.sandbox, "ESCAPE_WORKER_ENV=PRELOAD=",
	}, suite, "-test.run", m.tests)
	switch {
	case err == nil:
		return "SURVIVED", false
	case !bytes.Contains(out, []byte("--- FAIL: ")):
		fmt.Fprintf(os.Stderr, "%s: no attempt was run:\n%.3000s\n", m.name, out)
		return "BROKEN", false
	}
	return "caught", true
}

// build copies the repository, removes the protection and builds the programs.
func build(ctx context.Context, m mutant, dir string) error {
	files, err := command(ctx, ".", nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return fmt.Errorf("%s: list the files: %w", m.name, err)
	}
	tree := filepath.Join(dir, "tree")
	for file := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		if err := copyFile(file, filepath.Join(tree, file)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	for _, e := range m.edits {
		if err := e.apply(tree); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	// -trimpath, so that the trees, which have different paths, share compiled packages.
	if out, err := command(ctx, tree, nil, "go", "build", "-trimpath", "-o", filepath.Join(dir, "bin")+"/", "./cmd/api",
		"./cmd/worker"); err != nil {
		return fmt.Errorf("%s: %w\n%s", m.name, err, out)
	}
	return nil
}

func (e edit) apply(tree string) error {
	path := filepath.Join(tree, e.file)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if bytes.Count(content, []byte(e.from)) != 1 {
		return fmt.Errorf("%s must have this once: %q", e.file, e.from)
	}
	return os.WriteFile(path, bytes.Replace(content, []byte(e.from), []byte(e.to), 1), 0o600)
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
