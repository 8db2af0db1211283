package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellblock/internal/environment"
)

// Result is what Build did.
type Result struct {
	environment.Installed

	// Changed is false if the environment was up to date.
	Changed bool
	// Warnings are about modules that cannot be imported, and are left out of the manifest.
	Warnings []string
}

// format is raised when environments are built differently, so that all are built anew.
const format = "cellblock environment 1"

// Build makes the environment name, unless it is up to date, and puts it in the place of the one before. When ctx is
// cancelled it removes what it made.
func Build(ctx context.Context, s Settings, name string, o Options) (*Result, error) {
	s, err := s.resolved()
	if err != nil {
		return nil, err
	}
	source, err := ReadSource(s.Sources, name)
	if err != nil {
		return nil, err
	}
	python, err := s.findPython(ctx, source)
	if err == nil {
		err = s.checkPython(python)
	}
	if err != nil {
		return nil, err
	}
	place := s.place(name)
	hash := source.hash(python.Version)
	if found, ok := place.upToDate(hash, python); ok && !o.Force {
		return &Result{Installed: found}, nil
	}
	if err := checkLock(source.Lock, o.AllowSource); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(source.Dir, lockFile), err)
	}
	// Sandboxes run as users that are not ours, and must be able to read all of it.
	unix.Umask(0o022)
	lock, err := place.lock(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if found, ok := place.upToDate(hash, python); ok && !o.Force { // another build was faster
		return &Result{Installed: found}, nil
	}
	return place.build(ctx, source, python, hash, tree{options: o, lock: lock, prefix: s.Prefix})
}

// hash returns the SHA-256 of everything that an environment is made from.
func (s *Source) hash(pythonVersion string) string {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(format), s.Lock, s.Text, []byte(pythonVersion), listFonts} {
		fmt.Fprintf(sum, "%d\n", len(part)) // so that no two lists of parts are the same text
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// build makes a version in a folder of its own and publishes it. The caller has the lock.
func (p place) build(ctx context.Context, source *Source, python interpreter, hash string, t tree) (*Result, error) {
	if err := p.clean(); err != nil {
		return nil, err
	}
	t.dir, t.final = p.newDir(hash)
	manifest, warnings, err := t.make(ctx, source, python)
	if err == nil {
		manifest.Hash = hash
		err = manifest.Save(t.dir)
	}
	if err == nil {
		err = p.publish(t.dir)
	}
	if err != nil {
		return nil, errors.Join(err, removeVersion(t.dir))
	}
	installed := environment.Installed{Manifest: *manifest, Dir: t.final}
	return &Result{Installed: installed, Changed: true, Warnings: warnings}, nil
}

// removeVersion removes the folder of a version. The manifest goes first: what is left after an interruption is no
// environment.
func removeVersion(dir string) error {
	if err := os.Remove(filepath.Join(dir, environment.ManifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}
