package wire

import (
	"os"

	"golang.org/x/sys/unix"
)

// Channel is the worker's end of the connection to a sandbox's runner: a stream socket. Its reads and writes take
// deadlines and end with Close.
type Channel struct{ *os.File }

// CloseWrite ends the stream to the runner.
func (c Channel) CloseWrite() error {
	conn, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return err
	}
	return failed
}

// NewChannel returns a channel and the runner's end of it, which the caller closes. It takes fewer system calls than
// package net: there is one for each job.
func NewChannel() (outer Channel, inner *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return Channel{}, nil, os.NewSyscallError("socketpair", err)
	}
	ends, err := wrap(fds[0], fds[1], unix.O_RDWR)
	return Channel{ends[0]}, ends[1], err
}

// NewPipe returns a pipe of which the worker reads, as os.Pipe does, with fewer system calls. The caller closes both
// ends.
func NewPipe() (outer, inner *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	ends, err := wrap(fds[0], fds[1], unix.O_WRONLY)
	return ends[0], ends[1], err
}

// wrap returns files for two descriptors that do not block. The inner one is made to block, as programs expect it; mode
// is how it is open. After an error both are closed.
func wrap(outer, inner, mode int) ([2]*os.File, error) {
	if _, err := unix.FcntlInt(uintptr(inner), unix.F_SETFL, mode); err != nil {
		_, _ = unix.Close(outer), unix.Close(inner)
		return [2]*os.File{}, os.NewSyscallError("fcntl", err)
	}
	return [2]*os.File{os.NewFile(uintptr(outer), "outer"), os.NewFile(uintptr(inner), "inner")}, nil
}
