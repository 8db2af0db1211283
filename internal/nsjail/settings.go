package nsjail

import (
	"strings"

	"cellblock/internal/jobs"
)

// Settings say what sandboxes are made of and what they may use.
type Settings struct {
	Nsjail     string `name:"nsjail" env:"NSJAIL" default:"/opt/cellblock/bin/nsjail" help:"nsjail's executable (3.6 or later)."`
	Python     string `name:"python" env:"SANDBOX_PYTHON" default:"/opt/cellblock/bin/python3" help:"The interpreter that runs scripts; it and its packages are mounted read-only in each sandbox."`
	ConfigFile string `name:"nsjail-config" env:"NSJAIL_CONFIG" default:"" help:"nsjail's configuration; empty means the nsjail.cfg built in."`
	RunDir     string `name:"run-dir" env:"RUN_DIR" default:"" help:"Folder for the runner's files and locks, the same for all workers of a machine; empty means /run/cellblock as root, else one under the system's temporary folder."`
	UIDBase    int    `name:"uid-base" env:"UID_BASE" default:"100000" help:"First user id outside for sandboxes. Each worker on a machine takes a range of 4,096 above it; jobs never share one at the same time. Needs root."`

	jobs.Ceilings `embed:""`
	FileMB        int64 `name:"limit-file-mb" env:"LIMIT_FILE_MB" default:"1" help:"Size of each file that a job writes, in MiB."`
	OpenFiles     int   `name:"limit-open-files" env:"LIMIT_OPEN_FILES" default:"256" help:"Open files for each process (at least 16)."`
	TmpMB         int64 `name:"limit-tmp-mb" env:"LIMIT_TMP_MB" default:"64" help:"Size of the memory-backed /tmp, in MiB."`
	ResultKB      int64 `name:"limit-result-kb" env:"LIMIT_RESULT_KB" default:"4096" help:"Size of the JSON that main() returns, in KiB."`

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
	limits := s.Ceilings.Limits()
	limits.FileBytes, limits.OpenFiles = s.FileMB<<20, s.OpenFiles
	limits.TmpBytes, limits.ResultBytes = s.TmpMB<<20, s.ResultKB<<10
	return limits
}
