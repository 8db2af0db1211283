package host

import (
	"errors"

	"cellblock/internal/jobs"
)

// Settings configure this machine for sandboxes, and what each of them may use.
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
	ResultKB       int64 `name:"limit-result-kb" env:"LIMIT_RESULT_KB" default:"4096" help:"Size of the JSON of a result, in KiB."`
	OutputFiles    int   `name:"limit-output-files" env:"LIMIT_OUTPUT_FILES" default:"64" help:"Files that a job may leave in outputs/."`
	OutputFilesMB  int64 `name:"limit-output-files-mb" env:"LIMIT_OUTPUT_FILES_MB" default:"16" help:"All files together that a job may leave in outputs/, in MiB. The worker holds them in memory until they are stored."`

	Epoll          bool `name:"sandbox-epoll" env:"SANDBOX_EPOLL" default:"false" help:"Let scripts use epoll. Python needs it for select.epoll() only: selectors and asyncio use poll() without it. It is a part of the kernel in which holes were found (docs/kernel-surface.md)."`
	RequireCgroups bool `name:"require-cgroups" env:"REQUIRE_CGROUPS" default:"false" help:"Refuse to start where cgroups are not writable or do not bite, instead of enforcing limits by rlimits (for each process)."`
}

// Validate returns an error for settings under which no script could run.
func (s Settings) Validate() error {
	return errors.Join(s.Limits().Validate(), checkVisible(s.Python))
}

// Limits returns the limits that the settings describe.
func (s Settings) Limits() jobs.Limits {
	limits := s.MaxLimits.Limits()
	limits.FileBytes, limits.OpenFiles = s.FileMB<<20, s.OpenFiles
	limits.TmpBytes, limits.ResultBytes = s.TmpMB<<20, s.ResultKB<<10
	limits.OutputFiles, limits.OutputFilesBytes = s.OutputFiles, s.OutputFilesMB<<20
	return limits
}
