package jobs

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound one job. Every field is a setting of the worker; nsjail.cfg shows the defaults to a reader, and a test
// compares it with DefaultLimits.
type Limits struct {
	// Wall is the time from passing the script to the sandbox until the job's end.
	Wall time.Duration
	// CPU is user and system time of all the job's processes together (per process if the machine has no writable
	// cgroups).
	CPU time.Duration
	// MemoryBytes bounds all the job's memory together, including its files in /tmp (without cgroups, the address
	// space of each process).
	MemoryBytes int64
	// FileBytes bounds the size of each file that the job writes.
	FileBytes int64
	// Processes bounds processes and threads together.
	Processes int
	// OpenFiles bounds the descriptors of each process.
	OpenFiles int
	// TmpBytes is the size of the memory-backed /tmp.
	TmpBytes int64
	// OutputBytes bounds the bytes kept of stdout and of stderr; further output is dropped while the script continues.
	OutputBytes int64
	// ResultBytes bounds the JSON of the result.
	ResultBytes int64
	// OutputFiles bounds the number of files that a job may leave in outputs/, and OutputFilesBytes their total size.
	OutputFiles      int
	OutputFilesBytes int64
}

// MaxLimits are the limits that a request may lower for its own job. The API's are the job's limits, decided at
// acceptance; a request that asks for more is refused. A worker's are the highest that it runs: it leaves a job above
// them to another worker. The API reads the workers' maximum limits from Redis, so the settings need not be equal.
type MaxLimits struct {
	Wall      time.Duration `name:"limit-wall" env:"LIMIT_WALL" default:"15s" help:"Wall time for each job (at least 100ms). At the API this and the other limits marked * are what jobs get and the most that a request may ask for; at a worker they are maximum limits: it leaves a job above one of them to other workers."`
	CPU       time.Duration `name:"limit-cpu" env:"LIMIT_CPU" default:"10s" help:"CPU time for each job (at least 100ms). *"`
	MemoryMB  int64         `name:"limit-memory-mb" env:"LIMIT_MEMORY_MB" default:"700" help:"Memory for each job, in MiB (at least 32). *"`
	Processes int           `name:"limit-processes" env:"LIMIT_PROCESSES" default:"64" help:"Processes and threads for each job (at least 4). *"`
	OutputKB  int64         `name:"limit-output-kb" env:"LIMIT_OUTPUT_KB" default:"1024" help:"Size of the kept stdout, and of the kept stderr, in KiB. *"`
}

// Limits returns the maximum limits as limits of a job; limits that no request can lower have their defaults.
func (m MaxLimits) Limits() Limits {
	l := DefaultLimits()
	l.Wall, l.CPU, l.Processes = m.Wall, m.CPU, m.Processes
	l.MemoryBytes, l.OutputBytes = m.MemoryMB*mib, m.OutputKB*kib
	return l
}

// RequestedLimits are the limits that a request asks for; 0 means not requested.
type RequestedLimits struct {
	Wall, CPU   time.Duration
	MemoryBytes int64
	Processes   int
	OutputBytes int64
}

// CappedBy returns the limits capped by those that are requested. It raises none.
func (l Limits) CappedBy(requested RequestedLimits) Limits {
	lower(&l.Wall, requested.Wall)
	lower(&l.CPU, requested.CPU)
	lower(&l.MemoryBytes, requested.MemoryBytes)
	lower(&l.Processes, requested.Processes)
	lower(&l.OutputBytes, requested.OutputBytes)
	return l
}

func lower[T ~int | ~int64](limit *T, requested T) {
	if requested > 0 {
		*limit = min(*limit, requested)
	}
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// DefaultLimits returns the limits of the contract. The programs take theirs from settings, whose defaults are the tags
// of MaxLimits and of nsjail's host.Settings; a test holds them to these.
func DefaultLimits() Limits {
	return Limits{
		Wall:        15 * time.Second,
		CPU:         10 * time.Second,
		MemoryBytes: 700 * mib,
		FileBytes:   1024 * kib,
		Processes:   64,
		OpenFiles:   256,
		TmpBytes:    64 * mib,
		OutputBytes: 1 * mib,
		ResultBytes: 4 * mib,

		OutputFiles: 64, OutputFilesBytes: 16 * mib,
	}
}

// Validate returns an error for limits under which no script could run, and for those that the sandbox cannot express.
func (l Limits) Validate() error {
	var errs []error
	requireMin := func(name string, got, least int64) {
		if got < least {
			errs = append(errs, fmt.Errorf("%s is %d, at least %d is needed", name, got, least))
		}
	}
	requireMin("wall limit (milliseconds)", l.Wall.Milliseconds(), 100)
	requireMin("CPU limit (milliseconds)", l.CPU.Milliseconds(), 100)
	requireMin("memory limit (bytes)", l.MemoryBytes, 32*mib)
	requireMin("file size limit (bytes)", l.FileBytes, 1*kib)
	requireMin("process limit", int64(l.Processes), 4)
	requireMin("open file limit", int64(l.OpenFiles), 16)
	requireMin("/tmp size (bytes)", l.TmpBytes, 64*kib)
	requireMin("output limit (bytes)", l.OutputBytes, 4)
	requireMin("result limit (bytes)", l.ResultBytes, 4)
	requireMin("limit on files in outputs/", int64(l.OutputFiles), 0)
	requireMin("limit on the size of files in outputs/ (bytes)", l.OutputFilesBytes, 0)
	return errors.Join(errs...)
}
