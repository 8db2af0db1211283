package nsjail

import (
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// Settings say what sandboxes are made of and what they may use.
type Settings struct {
	Nsjail     string `name:"nsjail" env:"NSJAIL" default:"/opt/cellblock/bin/nsjail" help:"nsjail's executable (3.6 or later)."`
	Python     string `name:"python" env:"SANDBOX_PYTHON" default:"/opt/cellblock/bin/python3" help:"The interpreter that runs scripts; it and its packages are mounted read-only in each sandbox."`
	ConfigFile string `name:"nsjail-config" env:"NSJAIL_CONFIG" default:"" help:"nsjail's configuration; empty means the nsjail.cfg built in."`
	RunDir     string `name:"run-dir" env:"RUN_DIR" default:"" help:"Folder for the runner's files and locks, the same for all workers of a machine; empty means /run/cellblock as root, else one under the system's temporary folder."`
	UIDBase    int    `name:"uid-base" env:"UID_BASE" default:"100000" help:"First user id outside for sandboxes. Each worker on a machine takes a range of 4,096 above it; jobs never share one at the same time. Needs root."`

	Wall      time.Duration `name:"limit-wall" env:"LIMIT_WALL" default:"15s" help:"Wall time for each job (at least 100ms)."`
	CPU       time.Duration `name:"limit-cpu" env:"LIMIT_CPU" default:"10s" help:"CPU time for each job (at least 100ms)."`
	MemoryMB  int64         `name:"limit-memory-mb" env:"LIMIT_MEMORY_MB" default:"700" help:"Memory for each job, in MiB (at least 32)."`
	FileMB    int64         `name:"limit-file-mb" env:"LIMIT_FILE_MB" default:"1" help:"Size of each file that a job writes, in MiB."`
	Processes int           `name:"limit-processes" env:"LIMIT_PROCESSES" default:"64" help:"Processes and threads for each job (at least 4)."`
	OpenFiles int           `name:"limit-open-files" env:"LIMIT_OPEN_FILES" default:"256" help:"Open files for each process (at least 16)."`
	TmpMB     int64         `name:"limit-tmp-mb" env:"LIMIT_TMP_MB" default:"64" help:"Size of the memory-backed /tmp, in MiB."`
	OutputKB  int64         `name:"limit-output-kb" env:"LIMIT_OUTPUT_KB" default:"1024" help:"What is kept of stdout, and of stderr, in KiB."`
	ResultKB  int64         `name:"limit-result-kb" env:"LIMIT_RESULT_KB" default:"4096" help:"Size of the JSON that main() returns, in KiB."`

	Sandbox    string   `name:"sandbox" env:"SANDBOX" enum:"warm,cold" default:"warm" help:"How sandboxes are made: 'warm' forks them from an interpreter that has the packages loaded, 'cold' starts one nsjail for each job."`
	Preload    []string `name:"preload" env:"PRELOAD" default:"numpy,pandas" help:"Packages that zygotes have loaded, by comma; empty for none. Scripts that name none of them get a plain interpreter."`
	ZygoteJobs int64    `name:"zygote-jobs" env:"ZYGOTE_JOBS" default:"5000" help:"Sandboxes that are forked from a zygote before it is replaced, since all of them share its address layout."`
	ZygoteMB   int64    `name:"zygote-memory-mb" env:"ZYGOTE_MEMORY_MB" default:"512" help:"Memory of a zygote, in MiB; one that needs more is ended and replaced."`

	RequireCgroups bool `name:"require-cgroups" env:"REQUIRE_CGROUPS" default:"false" help:"Refuse to start where cgroups are not writable, instead of holding limits by rlimits (for each process)."`
}

// packages are the preloaded ones, without what an empty setting leaves.
func (s Settings) packages() []string {
	var names []string
	for _, name := range s.Preload {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Limits gives the settings as the domain's limits.
func (s Settings) Limits() jobs.Limits {
	return jobs.Limits{
		Wall:        s.Wall,
		CPU:         s.CPU,
		MemoryBytes: s.MemoryMB << 20,
		FileBytes:   s.FileMB << 20,
		Processes:   s.Processes,
		OpenFiles:   s.OpenFiles,
		TmpBytes:    s.TmpMB << 20,
		OutputBytes: s.OutputKB << 10,
		ResultBytes: s.ResultKB << 10,
	}
}
