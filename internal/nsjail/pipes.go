package nsjail

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/wire"
)

// outerEnds are the worker's ends of its connections to a sandbox.
type outerEnds struct {
	channel        *net.UnixConn
	stdout, stderr *os.File
}

// innerEnds are the sandbox's ends, and the cgroup.procs files through which it joins its cgroup.
type innerEnds struct {
	channel, stdout, stderr *os.File
	procs                   []*os.File
}

// openPipes opens the connections for a sandbox with the user id outside. The caller closes both
// sides.
func openPipes(group *cgroup.Group, id int) (_ *innerEnds, _ *outerEnds, err error) {
	inner, outer := &innerEnds{}, &outerEnds{}
	defer func() {
		if err != nil {
			inner.close()
			outer.close()
		}
	}()
	if outer.channel, inner.channel, err = wire.Socketpair(unix.SOCK_STREAM, false); err != nil {
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

// pipe returns a pipe that belongs to the job's user, so that the job can open /dev/stdout.
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

// files returns all files: the channel, the outputs, then the cgroup.procs files.
func (e *innerEnds) files() []*os.File {
	return append([]*os.File{e.channel, e.stdout, e.stderr}, e.procs...)
}

func (e *outerEnds) close() {
	closeFiles(e.stdout, e.stderr)
	if e.channel != nil {
		_ = e.channel.Close()
	}
}

// closeFiles closes the files that are open; nil and closed files are ignored.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
