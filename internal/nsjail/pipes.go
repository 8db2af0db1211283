package nsjail

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/cgroup"
)

// outerEnds are the worker's ends of what connects it to a sandbox.
type outerEnds struct {
	channel        *net.UnixConn
	stdout, stderr *os.File
}

// innerEnds are the sandbox's ends, and the files through which it joins its
// cgroup.
type innerEnds struct {
	channel, stdout, stderr *os.File
	procs                   []*os.File
}

// openPipes connects a sandbox that will run as the user id outside. The caller
// closes both.
func openPipes(group *cgroup.Group, id int) (_ *innerEnds, _ *outerEnds, err error) {
	inner, outer := &innerEnds{}, &outerEnds{}
	defer func() {
		if err != nil {
			inner.close()
			outer.close()
		}
	}()
	if outer.channel, inner.channel, err = socketpair(unix.SOCK_STREAM, false); err != nil {
		return nil, nil, err
	}
	if outer.stdout, inner.stdout, err = pipe(id); err != nil {
		return nil, nil, err
	}
	if outer.stderr, inner.stderr, err = pipe(id); err != nil {
		return nil, nil, err
	}
	if group != nil {
		if inner.procs, err = group.OpenProcs(); err != nil {
			return nil, nil, err
		}
	}
	return inner, outer, nil
}

// pipe makes a pipe that belongs to the job, so that it can open /dev/stdout.
func pipe(id int) (outer, inner *os.File, err error) {
	outer, inner, err = os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if err := inner.Chown(id, id); err != nil {
		closeFiles(outer, inner)
		return nil, nil, err
	}
	return outer, inner, nil
}

func (e *innerEnds) close() {
	closeFiles(e.channel, e.stdout, e.stderr)
	closeFiles(e.procs...)
}

// files are all of them, the channel and the outputs first.
func (e *innerEnds) files() []*os.File {
	return append([]*os.File{e.channel, e.stdout, e.stderr}, e.procs...)
}

func (e *outerEnds) close() {
	closeFiles(e.stdout, e.stderr)
	if e.channel != nil {
		_ = e.channel.Close()
	}
}

// closeFiles closes what is open; a nil or closed *os.File only gives an error.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// socketpair makes a connected pair of unix sockets. With credentials, what is
// read from the outer end carries the sender's process id.
func socketpair(kind int, credentials bool) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	outer, inner := os.NewFile(uintptr(fds[0]), "outer"), os.NewFile(uintptr(fds[1]), "inner")
	defer outer.Close()
	if credentials {
		if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			_ = inner.Close()
			return nil, nil, err
		}
	}
	conn, err := net.FileConn(outer)
	if err != nil {
		_ = inner.Close()
		return nil, nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		closeFiles(inner)
		return nil, nil, fmt.Errorf("a unix socket became a %T", conn)
	}
	return unixConn, inner, nil
}
