// Package owndir creates folders that no other user of the machine can have prepared, even in /tmp, where every user
// may create any name.
package owndir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// othersWrite is the write permission of group and others.
const othersWrite = 0o022

// Make creates the folder at path, and missing parents, with the permissions perm. It returns an error with the reason
// if another user owns the folder, may write into it, or may replace it. The caller adds the setting that selects
// another folder.
func Make(path string, perm fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, perm); err != nil {
		return err
	}
	return check(path)
}

func check(path string) error {
	var folder, parent unix.Stat_t
	if err := unix.Lstat(path, &folder); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	if err := unix.Stat(filepath.Dir(path), &parent); err != nil {
		return &fs.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	shared := parent.Mode&othersWrite != 0
	switch {
	case folder.Mode&unix.S_IFMT == unix.S_IFLNK:
		if shared {
			return fmt.Errorf("%s is a symbolic link in a folder that other users may write into", path)
		}
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			return err
		}
		return check(target)
	case folder.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is no folder", path)
	case folder.Uid != 0 && int(folder.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, and this is user %d", path, folder.Uid, os.Geteuid())
	case folder.Mode&othersWrite != 0:
		return fmt.Errorf("other users may write into %s (`chmod go-w` takes that away)", path)
	case shared && parent.Mode&unix.S_ISVTX == 0 && path != "/":
		return fmt.Errorf("other users may replace %s, since they may write into %s, which has no sticky bit", path,
			filepath.Dir(path))
	}
	return nil
}
