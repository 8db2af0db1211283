package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellblock/internal/environment"
)

// States of an environment.
const (
	// StateReady: built, from what its source folder has.
	StateReady = "ready"
	// StateChanged: built, and its source folder or the interpreter has changed since.
	StateChanged = "changed"
	// StateNoSource: built, and its source folder is not there.
	StateNoSource = "no source"
	// StateNotBuilt: there is a source folder only.
	StateNotBuilt = "not built"
	// StateBroken: it cannot be read.
	StateBroken = "broken"
)

// Status is an environment that is installed, or has a source folder, or both.
type Status struct {
	// Installed has only the name if the environment is not built.
	environment.Installed

	State string
	// Problem is why the environment is broken, or its source folder cannot be used.
	Problem error
}

// List returns all environments, default first and the others by name.
func List(ctx context.Context, s Settings) ([]Status, error) {
	s, err := s.resolved()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{environment.DefaultName: true}
	for _, name := range SourceNames(s.Sources) {
		names[name] = true
	}
	links, err := os.ReadDir(s.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, link := range links {
		if environment.CheckName(link.Name()) == nil {
			names[link.Name()] = true
		}
	}
	sorted := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		if a == environment.DefaultName || b == environment.DefaultName {
			return map[bool]int{true: -1, false: 1}[a == environment.DefaultName]
		}
		return strings.Compare(a, b)
	})
	var all []Status
	for _, name := range sorted {
		all = append(all, s.status(ctx, name))
	}
	return all, nil
}

// Find returns the state of one environment.
func Find(ctx context.Context, s Settings, name string) (Status, error) {
	s, err := s.resolved()
	if err == nil {
		err = environment.CheckName(name)
	}
	if err != nil {
		return Status{}, err
	}
	return s.status(ctx, name), nil
}

func (s Settings) status(ctx context.Context, name string) Status {
	installed, err := s.place(name).open()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		installed.Name = name
		if p := s.place(name); !p.linked && exists(filepath.Join(p.target, "bin", "python3")) {
			return Status{Installed: installed, State: StateChanged} // from the version before environments
		}
		return Status{Installed: installed, State: StateNotBuilt}
	case err != nil:
		installed.Name = name
		return Status{Installed: installed, State: StateBroken, Problem: err}
	}
	status := Status{Installed: installed}
	if _, err := os.Stat(filepath.Join(s.Sources, name)); err != nil {
		status.State = StateNoSource
		return status
	}
	status.State, status.Problem = s.compare(ctx, installed)
	return status
}

// compare reports whether an environment is as its source folder has it.
func (s Settings) compare(ctx context.Context, installed environment.Installed) (string, error) {
	source, err := ReadSource(s.Sources, installed.Name)
	if err != nil {
		return StateChanged, err
	}
	python, err := s.findPython(ctx, source)
	if err != nil {
		return StateChanged, err
	}
	if _, ok := s.place(installed.Name).upToDate(source.hash(python.Version), python); !ok {
		return StateChanged, nil
	}
	return StateReady, nil
}

// Remove removes an environment and all its versions. Jobs that run in it may fail.
func Remove(ctx context.Context, s Settings, name string, progress func(step, detail string)) error {
	s, err := s.resolved()
	if err == nil {
		err = environment.CheckName(name)
	}
	if err != nil {
		return err
	}
	if name == environment.DefaultName {
		return fmt.Errorf("the environment default has nsjail and the Python of every job that names no environment; "+
			"to remove all of Cellblock, delete %s", s.Prefix)
	}
	p := s.place(name)
	if versions, err := p.versions(); !exists(p.target) && len(versions) == 0 {
		return errors.Join(fmt.Errorf("the environment %s is not built in %s: %w", name, s.Root, fs.ErrNotExist), err)
	}
	if err := p.checkTarget(); err != nil {
		return err
	}
	lock, err := p.lock(ctx, progress)
	if err != nil {
		return err
	}
	defer lock.Close()
	versions, err := p.versions()
	if err != nil {
		return err
	}
	if err := os.Remove(p.target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range versions {
		err = errors.Join(err, removeVersion(dir))
	}
	return err
}
