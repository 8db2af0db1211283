package nsjail

import (
	"errors"
	"fmt"
	"strings"

	"cellblock/internal/jobs"
)

// Settings configure how sandboxes are made and what they may use.
type Settings struct {
	Nsjail     string `name:"nsjail" env:"NSJAIL" default:"${prefix}/bin/nsjail" help:"nsjail's executable (3.6 or later). By default below CELLBLOCK_PREFIX (/opt/cellblock)."`
	Python     string `name:"python" env:"SANDBOX_PYTHON" default:"${prefix}/bin/python3" help:"The interpreter that runs scripts; it and its packages are mounted read-only in each sandbox, so it cannot lie below /tmp. By default below CELLBLOCK_PREFIX (/opt/cellblock)."`
	ConfigFile string `name:"nsjail-config" env:"NSJAIL_CONFIG" default:"" help:"nsjail's configuration; empty means the nsjail.cfg built in."`
	RunDir     string `name:"run-dir" env:"RUN_DIR" default:"" help:"Folder for the runner's files and locks, the same for all workers of a machine; empty means /run/cellblock as root, else one under the system's temporary folder. Other users must not be able to write into it."`
	UIDBase    int    `name:"uid-base" env:"UID_BASE" default:"100000" help:"First user id outside for sandboxes. Each worker on a machine takes a range of 4,096 above it; jobs never share one at the same time. Needs root."`

	// LIMIT_OPEN_FILES and LIMIT_TMP_MB are fixed when a sandbox is made, before its job is known,
	// so a job cannot lower them. nsjail.cfg lists what else is fixed then. All other limits are
	// set when the script is sent.
	jobs.MaxLimits `embed:""`
	FileMB         int64 `name:"limit-file-mb" env:"LIMIT_FILE_MB" default:"1" help:"Size of each file that a job writes, in MiB."`
	OpenFiles      int   `name:"limit-open-files" env:"LIMIT_OPEN_FILES" default:"256" help:"Open files for each process (at least 16)."`
	TmpMB          int64 `name:"limit-tmp-mb" env:"LIMIT_TMP_MB" default:"64" help:"Size of the memory-backed /tmp, in MiB."`
	ResultKB       int64 `name:"limit-result-kb" env:"LIMIT_RESULT_KB" default:"4096" help:"Size of the JSON that main() returns, in KiB."`
	OutputFiles    int   `name:"limit-output-files" env:"LIMIT_OUTPUT_FILES" default:"64" help:"Files that a job may leave in outputs/."`
	OutputFilesMB  int64 `name:"limit-output-files-mb" env:"LIMIT_OUTPUT_FILES_MB" default:"16" help:"All files together that a job may leave in outputs/, in MiB. The worker holds them in memory until they are stored."`

	Sandbox         string   `name:"sandbox" env:"SANDBOX" enum:"warm,cold" default:"warm" help:"How sandboxes are made: 'warm' forks them from an interpreter that has the packages loaded, 'cold' starts one nsjail for each job."`
	Preload         []string `name:"preload" env:"PRELOAD" default:"numpy,pandas" help:"Packages that zygotes have loaded, by comma; empty for none. Scripts that name none of them get a plain interpreter."`
	PreloadOnDemand []string `name:"preload-on-demand" env:"PRELOAD_ON_DEMAND" default:"matplotlib" help:"More packages, by comma, that a zygote of its own has loaded beside those of PRELOAD. It is started when the first script names one of them; empty for none."`
	ZygoteJobs      int64    `name:"zygote-jobs" env:"ZYGOTE_JOBS" default:"5000" help:"Sandboxes that are forked from a zygote before its successor is started (at least 1), since all of them share its address layout. It serves until the successor is ready, for at most twice as many."`
	ZygoteMB        int64    `name:"zygote-memory-mb" env:"ZYGOTE_MEMORY_MB" default:"512" help:"Memory of a zygote, in MiB; one that needs more is ended and replaced."`

	RequireCgroups bool `name:"require-cgroups" env:"REQUIRE_CGROUPS" default:"false" help:"Refuse to start where cgroups are not writable, instead of holding limits by rlimits (for each process)."`
}

// Validate returns an error for settings under which no script could run.
func (s Settings) Validate() error {
	errs := []error{s.Limits().Validate(), checkVisible(s.Python)}
	if s.ZygoteJobs < 1 {
		errs = append(errs, fmt.Errorf("ZYGOTE_JOBS is %d, at least 1 is needed", s.ZygoteJobs))
	}
	if s.ZygoteMB < minZygoteMB {
		errs = append(errs, fmt.Errorf("ZYGOTE_MEMORY_MB is %d, at least %d is needed", s.ZygoteMB, minZygoteMB))
	}
	return errors.Join(errs...)
}

// minZygoteMB is the memory that an interpreter without packages needs, in MiB.
const minZygoteMB = 32

// packages returns the packages to preload.
func (s Settings) packages() []string { return withoutEmpty(s.Preload) }

// onDemand returns the further packages of the zygote that starts on demand.
func (s Settings) onDemand() []string { return withoutEmpty(s.PreloadOnDemand) }

// withoutEmpty drops the empty names that an empty setting leaves.
func withoutEmpty(list []string) []string {
	var names []string
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Limits returns the limits that the settings describe.
func (s Settings) Limits() jobs.Limits {
	limits := s.MaxLimits.Limits()
	limits.FileBytes, limits.OpenFiles = s.FileMB<<20, s.OpenFiles
	limits.TmpBytes, limits.ResultBytes = s.TmpMB<<20, s.ResultKB<<10
	limits.OutputFiles, limits.OutputFilesBytes = s.OutputFiles, s.OutputFilesMB<<20
	return limits
}
