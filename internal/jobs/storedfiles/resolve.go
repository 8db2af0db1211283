package storedfiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/redisconn"
)

const (
	// resolveMemory limits the bytes of the files that are being read for jobs, until these are stored. There may be up
	// to three copies of each: as read, as stored, and as sent to Redis.
	resolveMemory = 64 << 20
	// memoryTimeout is how long a request waits for that memory.
	memoryTimeout = 5 * time.Second
	// resolveTimeout bounds the look-up of files, and the read of them; the time to transfer them is added.
	resolveTimeout = 30 * time.Second
	// maxSources is how many different files the jobs of a batch may refer to: one for each job.
	maxSources = jobs.MaxBatch
	// sourcesAtOnce is how many of them are looked up or read at once.
	sourcesAtOnce = 8
)

// Resolver reads the files that requests refer to. It is safe for concurrent use.
type Resolver struct {
	keeper *Keeper
	memory *membudget.Budget
	// timeout is resolveTimeout, for tests to shorten.
	timeout time.Duration
}

// NewResolver returns a resolver of the keeper's files and of the files of jobs.
func NewResolver(keeper *Keeper) *Resolver {
	return &Resolver{keeper: keeper, memory: membudget.New(resolveMemory, memoryTimeout), timeout: resolveTimeout}
}

// Budget returns the memory budget of the files that it reads.
func (r *Resolver) Budget() *membudget.Budget { return r.memory }

// source is a file that requests refer to.
type source struct {
	key  string
	size int64
	// missing describes a file that cannot be read, "" for one that can.
	missing string
	// used reports that a request that is not refused has it.
	used    bool
	content []byte
}

// resolution is what one call of Resolve knows.
type resolution struct {
	keeper  *Keeper
	sources map[jobs.FileRef]*source

	mu sync.Mutex
	// records has the jobs that are referred to; each is read once.
	records map[string]func() (jobs.Record, error)
}

// Resolve reads the files that the inputs refer to, each once, and returns copies of the inputs with the contents; what
// refers to no file is returned as it is. refused has the error of each input with a file that does not exist
// (CodeFileNotFound) or is too large. The contents may share memory, and none may be changed. The caller calls release
// when it no longer holds them.
//
// Resolve returns a *jobs.Error with CodeInputTooLarge if all references together have more than most bytes, each
// counted as often as it is used, or with CodeUnavailable.
func (r *Resolver) Resolve(
	ctx context.Context, inputs []*jobs.Inputs, most int,
) (resolved []*jobs.Inputs, refused []error, release func(), err error) {
	n := &resolution{
		keeper: r.keeper, sources: map[jobs.FileRef]*source{}, records: map[string]func() (jobs.Record, error){},
	}
	none := func() {}
	find := func(ctx context.Context) error { return n.find(ctx, inputs) }
	if err := within(ctx, r.timeout, find); err != nil {
		return nil, nil, none, err
	}
	_, total := n.check(inputs)
	if total > most {
		return nil, nil, none, jobs.BatchFilesTooLarge()
	}
	release, ok := r.memory.Acquire(ctx, n.usedBytes())
	if !ok {
		if ctx.Err() != nil {
			return nil, nil, none, ctx.Err()
		}
		return nil, nil, none, jobs.Unavailable(
			"too many requests with stored files came at once; repeat this one after a moment", membudget.ErrExhausted)
	}
	if err := within(ctx, r.timeout+redisconn.TransferTime(total), n.read); err != nil {
		release()
		return nil, nil, none, err
	}
	refused, _ = n.check(inputs) // a file may have been deleted since it was found
	return n.fill(inputs, refused), refused, release, nil
}

// within calls do with a time limit. Beyond it, it returns a *jobs.Error with CodeUnavailable.
func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(bounded)
	if err == nil || ctx.Err() != nil || bounded.Err() == nil {
		return err
	}
	return jobs.Unavailable("the files that the request refers to could not be read in time; repeat it after a moment",
		err)
}

// find looks up all files.
func (n *resolution) find(ctx context.Context, inputs []*jobs.Inputs) error {
	for _, in := range inputs {
		if !in.Refers() {
			continue
		}
		for _, file := range in.Files {
			if file.Ref != (jobs.FileRef{}) {
				n.sources[file.Ref] = &source{}
			}
		}
	}
	if len(n.sources) > maxSources {
		return &jobs.Error{
			Code:    jobs.CodeInputTooLarge,
			Message: fmt.Sprintf("the batch refers to more than %d different files; make several of it", maxSources),
			Limit:   &jobs.LimitHit{Name: "files", Value: maxSources, Unit: "count"},
		}
	}
	return n.each(ctx, func(ctx context.Context, ref jobs.FileRef, s *source) error {
		if ref.FileID != "" {
			return n.findStored(ctx, ref, s)
		}
		return n.findLeft(ctx, ref, s)
	})
}

// each calls do with all sources, several at once.
func (n *resolution) each(ctx context.Context, do func(context.Context, jobs.FileRef, *source) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sourcesAtOnce)
	for ref, s := range n.sources {
		group.Go(func() error { return do(ctx, ref, s) })
	}
	return group.Wait()
}

// findStored finds a file that was uploaded.
func (n *resolution) findStored(ctx context.Context, ref jobs.FileRef, s *source) error {
	file, err := n.keeper.Find(ctx, ref.FileID)
	if jobs.CodeOf(err) == jobs.CodeNotFound {
		s.missing = goneUpload
		return nil
	}
	s.key, s.size = file.Key, file.Size
	return err
}

const (
	goneUpload = "a stored file that does not exist or has expired; upload it again (POST /files)"
	goneJob    = "a file of a job that does not exist or has expired; run that job again"
)

// findLeft finds a file that a job left.
func (n *resolution) findLeft(ctx context.Context, ref jobs.FileRef, s *source) error {
	record, err := n.record(ctx, ref.JobID)
	switch {
	case jobs.CodeOf(err) == jobs.CodeNotFound:
		s.missing = goneJob
		return nil
	case err != nil:
		return err
	case !record.State.Ended():
		s.missing = "a file of a job that has not ended yet; wait for its end (GET /jobs/{id}?wait=30s)"
		return nil
	}
	if record.Outcome != nil {
		for _, file := range record.Outcome.Files {
			if file.Name == ref.Name {
				s.key, s.size = file.Key, file.Size
				return nil
			}
		}
	}
	s.missing = "a file that its job did not leave; the job's files are in \"files\" of GET /jobs/{id}"
	return nil
}

// record returns the record of a job that the caller sees, which is read once.
func (n *resolution) record(ctx context.Context, jobID string) (jobs.Record, error) {
	id, ok := jobs.ParseID(jobID)
	if !ok {
		return jobs.Record{}, jobs.NotFound("job")
	}
	n.mu.Lock()
	read, known := n.records[id]
	if !known {
		read = sync.OnceValues(func() (jobs.Record, error) {
			record, err := n.keeper.records.Describe(ctx, jobs.CallerOf(ctx), id, patience)
			if err != nil {
				return record, explain(ctx, "the record of a job with a file could not be read", err)
			}
			return record, nil
		})
		n.records[id] = read
	}
	n.mu.Unlock()
	return read()
}

// check returns the errors of inputs, and the bytes of all files that the others refer to. It marks those as used.
func (n *resolution) check(inputs []*jobs.Inputs) (refused []error, total int) {
	refused = make([]error, len(inputs))
	for i, in := range inputs {
		if !in.Refers() {
			continue
		}
		referred, err := n.checkOne(in)
		if err != nil {
			refused[i] = err
			continue
		}
		total += referred
		for _, file := range in.Files {
			if s := n.sources[file.Ref]; s != nil {
				s.used = true
			}
		}
	}
	return refused, total
}

// checkOne returns the bytes of the files that one job's inputs refer to.
func (n *resolution) checkOne(in *jobs.Inputs) (referred int, err error) {
	size := 0
	for _, file := range in.Files {
		size += len(file.Content)
		s := n.sources[file.Ref]
		if s == nil {
			continue
		}
		if s.missing != "" {
			return 0, jobs.MissingFile(file.Path, s.missing)
		}
		referred += int(s.size)
	}
	return referred, jobs.CheckFilesSize(size + referred)
}

func (n *resolution) usedBytes() (bytes int64) {
	for _, s := range n.sources {
		if s.used {
			bytes += s.size
		}
	}
	return bytes
}

// read reads the contents of the files that are used.
func (n *resolution) read(ctx context.Context) error {
	return n.each(ctx, func(ctx context.Context, ref jobs.FileRef, s *source) error {
		if !s.used {
			return nil
		}
		err := s.read(ctx, n.keeper)
		if jobs.CodeOf(err) == jobs.CodeNotFound {
			s.missing = goneUpload
			if ref.JobID != "" {
				s.missing = goneJob
			}
			return nil
		}
		return err
	})
}

func (s *source) read(ctx context.Context, keeper *Keeper) error {
	reader, err := keeper.contents.Open(ctx, s.key)
	if err != nil {
		return err
	}
	defer reader.Close()
	content := make([]byte, s.size)
	if _, err := io.ReadFull(reader, content); err != nil {
		return fmt.Errorf("read a file of a request: %w", err)
	}
	if n, err := io.ReadFull(reader, make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("read a file of a request: it has more than %d bytes (%w)", s.size, err)
	}
	s.content = content
	return nil
}

// fill returns the inputs with the contents of their files.
func (n *resolution) fill(inputs []*jobs.Inputs, refused []error) []*jobs.Inputs {
	filled := slices.Clone(inputs)
	for i, in := range inputs {
		if refused[i] != nil || !in.Refers() {
			continue
		}
		own := *in
		own.Files = slices.Clone(in.Files)
		for j, file := range own.Files {
			if s := n.sources[file.Ref]; s != nil {
				own.Files[j] = jobs.File{Path: file.Path, Content: s.content}
			}
		}
		filled[i] = &own
	}
	return filled
}
