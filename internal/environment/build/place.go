package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"cellblock/internal/environment"
)

// place is where an environment goes: a link in Settings.Root or, for default, the folder Settings.Prefix itself.
type place struct {
	name string
	// root has the versions.
	root string
	// target is the link, or the prefix.
	target string
	// linked is false for the prefix.
	linked bool
}

func (s Settings) place(name string) place {
	if name == environment.DefaultName {
		return place{name: name, root: filepath.Dir(s.Prefix), target: s.Prefix}
	}
	return place{name: name, root: s.Root, target: filepath.Join(s.Root, name), linked: true}
}

// upToDate returns the present version if it was made from the same things.
func (p place) upToDate(hash string, python interpreter) (environment.Installed, bool) {
	found, err := p.open()
	if err != nil || found.Hash != hash || found.Name != p.name {
		return found, false
	}
	used, err := filepath.EvalSymlinks(found.Interpreter())
	return found, err == nil && used == python.Path
}

// open returns the present version. The error is fs.ErrNotExist if there is none.
func (p place) open() (environment.Installed, error) {
	if p.linked {
		return environment.Open(p.root, p.name)
	}
	manifest, err := environment.Load(p.target)
	if err != nil {
		return environment.Installed{}, err
	}
	return environment.Installed{Manifest: *manifest, Dir: p.target}, nil
}

// lock makes the root, and returns once no other build of this name runs. Programs that a build starts inherit the
// lock, so that it lasts as long as one of them writes.
func (p place) lock(ctx context.Context, progress func(step, detail string)) (*os.File, error) {
	var lock *os.File
	err := os.MkdirAll(p.root, 0o755)
	if err == nil && p.linked {
		lock, err = os.OpenFile(filepath.Join(p.root, "."+p.name+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	} else if err == nil {
		lock, err = os.Open(p.root)
	}
	if err == nil {
		err = unix.Access(p.root, unix.W_OK)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s cannot be written: %w; run this as root, or choose another folder with "+
			"CELLBLOCK_PREFIX or ENVIRONMENTS_DIR", p.root, err), closeFile(lock))
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return lock, nil
	}
	progress("waiting for another build of "+p.name, "")
	locked := make(chan error, 1)
	go func() { locked <- unix.Flock(int(lock.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-locked:
		return lock, err
	case <-ctx.Done(): // the goroutine ends with the program
		return nil, ctx.Err()
	}
}

func closeFile(file *os.File) error {
	if file == nil {
		return nil
	}
	return file.Close()
}

var versionSuffix = regexp.MustCompile(`^[0-9a-f]{12}(\.[0-9]+)?$`)

// versions returns the folders of this name's versions, complete or not.
func (p place) versions() ([]string, error) {
	if !p.linked {
		return []string{p.target + ".new", p.target + ".old"}, nil
	}
	entries, err := os.ReadDir(p.root)
	var dirs []string
	for _, entry := range entries {
		// No name has a dot, so one name's folders are never another's.
		suffix, found := strings.CutPrefix(entry.Name(), "."+p.name+"-")
		if found && versionSuffix.MatchString(suffix) {
			dirs = append(dirs, filepath.Join(p.root, entry.Name()))
		}
	}
	return dirs, err
}

// clean removes what an interrupted build left, and the versions before the present one. It refuses a target that is
// not ours.
func (p place) clean() error {
	if err := p.checkTarget(); err != nil {
		return err
	}
	present, err := os.Stat(p.target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dirs, err := p.versions()
	for _, dir := range dirs {
		// Not by path: the one to the root may contain links.
		if info, statErr := os.Stat(dir); present == nil || statErr != nil || !os.SameFile(info, present) {
			err = errors.Join(err, removeVersion(dir))
		}
	}
	return err
}

// checkTarget returns an error if publishing would replace what another program made.
func (p place) checkTarget() error {
	info, err := os.Lstat(p.target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.linked {
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil
		}
		return fmt.Errorf("%s is there already and is no link of ours; move it away", p.target)
	}
	entries, err := os.ReadDir(p.target)
	if err != nil || len(entries) == 0 {
		return err
	}
	for _, entry := range entries {
		// .cellblock-setup is from the version before environments.
		if entry.Name() == environment.ManifestFile || entry.Name() == ".cellblock-setup" {
			return nil
		}
	}
	return fmt.Errorf("%s is there already and was not made by this program; move it away or set CELLBLOCK_PREFIX",
		p.target)
}

// newDir returns a folder for a new version, and where it is once it is published.
func (p place) newDir(hash string) (dir, final string) {
	if !p.linked {
		return p.target + ".new", p.target
	}
	first := filepath.Join(p.root, "."+p.name+"-"+hash[:12])
	dir = first
	for i := 2; exists(dir); i++ { // the present version, which is built anew
		dir = fmt.Sprintf("%s.%d", first, i)
	}
	return dir, dir
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// publish puts dir in the place of the present version. For a link that is one step; the prefix is absent for a
// moment between two.
func (p place) publish(dir string) error {
	if err := syncFiles(p.root); err != nil {
		return err
	}
	if p.linked {
		link := filepath.Join(p.root, "."+p.name+".link")
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(filepath.Base(dir), link); err != nil {
			return err
		}
		return os.Rename(link, p.target)
	}
	old := p.target + ".old"
	if err := os.Rename(p.target, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(dir, p.target); err != nil {
		return errors.Join(err, os.Rename(old, p.target))
	}
	_ = removeVersion(old) // the next build removes what is left
	return nil
}

// syncFiles writes everything below dir to the disk, so that a power failure leaves no published version incomplete.
func syncFiles(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Syncfs(int(file.Fd()))
}
