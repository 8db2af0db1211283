// Package kernfile reads and writes the small files by which the kernel reports and takes settings, such as those of
// /proc and /sys/fs/cgroup. Package os takes three times as many system calls for each: it asks for the size, registers
// the file with Go's poller, which such files allow to no effect, and reads until there is nothing more.
package kernfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// pageBytes is the length of the first read, and the most that a read of many such files returns.
	pageBytes = 4096
	// recordBytes is more than one line of any of these files. The kernel returns as many whole lines as fit (seq_read
	// in fs/seq_file.c), so a read that could have returned as much more has reached the end.
	recordBytes = 1024
)

// Read returns the content of a file.
func Read(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer closeFile(fd)
	content := make([]byte, 0, pageBytes)
	for {
		free := content[len(content):cap(content)]
		n, err := retry(func() (int, error) { return unix.Read(fd, free) })
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		content = content[:len(content)+n]
		if n == 0 || n+recordBytes <= min(len(free), pageBytes) {
			return content, nil
		}
		if cap(content)-len(content) < recordBytes {
			content = append(make([]byte, 0, 2*cap(content)), content...)
		}
	}
}

// Write writes text to a file by one call, as the kernel takes a setting.
func Write(path, text string) error {
	fd, err := open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer closeFile(fd)
	if _, err := retry(func() (int, error) { return unix.Write(fd, []byte(text)) }); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// OpenForWriting opens a file that another process is to write to. The caller closes it.
func OpenForWriting(path string) (*os.File, error) {
	fd, err := open(path, unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// OpenForReading opens a file that is read at its start again and again. The caller closes it.
func OpenForReading(path string) (*os.File, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func open(path string, flags int) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// closeFile closes a file of which nothing is left to report.
func closeFile(fd int) { _ = unix.Close(fd) }

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
