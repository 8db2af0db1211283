package sandbox

import (
	"os"

	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/wire"
)

// outerEnds are the worker's ends of its connections to a sandbox.
type outerEnds struct {
	channel        wire.Channel
	stdout, stderr *os.File
}

// InnerEnds are the sandbox's ends, and the cgroup.procs files through which it joins its cgroup. New closes them.
type InnerEnds struct {
	Channel, Stdout, Stderr *os.File
	Procs                   []*os.File
}

// connect opens the connections to a sandbox whose user id outside is uid. group may be nil. The caller must close both
// ends.
func connect(group *cgroup.Group, uid int) (_ *InnerEnds, _ *outerEnds, err error) {
	inner, outer := &InnerEnds{}, &outerEnds{}
	defer func() {
		if err != nil {
			inner.close()
			outer.close()
		}
	}()
	if outer.channel, inner.Channel, err = wire.NewChannel(); err != nil {
		return nil, nil, err
	}
	if outer.stdout, inner.Stdout, err = pipe(uid); err != nil {
		return nil, nil, err
	}
	if outer.stderr, inner.Stderr, err = pipe(uid); err != nil {
		return nil, nil, err
	}
	inner.Procs, err = group.OpenProcs()
	return inner, outer, err
}

// pipe returns a pipe that belongs to the job's user, so that the job can open /dev/stdout.
func pipe(id int) (outer, inner *os.File, err error) {
	outer, inner, err = wire.NewPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := inner.Chown(id, id); err != nil {
		closeFiles(outer, inner)
		return nil, nil, err
	}
	return outer, inner, nil
}

// close closes what is open.
func (e *InnerEnds) close() {
	closeFiles(e.Channel, e.Stdout, e.Stderr)
	closeFiles(e.Procs...)
}

// Files returns all files: the channel, the outputs, then the cgroup.procs files.
func (e *InnerEnds) Files() []*os.File {
	return append([]*os.File{e.Channel, e.Stdout, e.Stderr}, e.Procs...)
}

// close closes what is open.
func (e *outerEnds) close() {
	closeFiles(e.channel.File, e.stdout, e.stderr)
}

// closeFiles closes the files; nil and closed ones are ignored.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
