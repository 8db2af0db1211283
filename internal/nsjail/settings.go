package nsjail

import (
	"errors"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/zygote"
)

// Settings configure how sandboxes are made and what they may use.
type Settings struct {
	host.Settings `embed:""`
	Sandbox       string          `name:"sandbox" env:"SANDBOX" enum:"warm,cold" default:"warm" help:"How sandboxes are made: 'warm' forks them from an interpreter that has the packages loaded, 'cold' starts one nsjail for each job."`
	Zygote        zygote.Settings `embed:""`

	EnvironmentsDir string        `name:"environments-dir" env:"ENVIRONMENTS_DIR" default:"${prefix}-environments" help:"Folder of the environments besides the default, as 'cellblock env build' makes them. The worker notices new, changed and removed ones within seconds. It need not exist, and cannot lie below /tmp. By default beside CELLBLOCK_PREFIX."`
	ZygoteIdle      time.Duration `name:"zygote-idle" env:"ZYGOTE_IDLE" default:"10m" help:"How long (duration) the zygote of an environment besides the default stays without a job (at least 1s). One whose environment is to start always stays."`
	ZygoteBudgetMB  int64         `name:"zygote-budget-mb" env:"ZYGOTE_BUDGET_MB" default:"1024" help:"Memory of the zygotes of all environments besides the default together, in MiB; above it the one that was used least recently ends once it is 30 seconds old, until one is left, which ZYGOTE_MEMORY_MB bounds. Those whose environments are to start always count, and stay."`

	// ZygoteMinAge is how old a zygote must be before the budget ends it; 0 means 30 s.
	ZygoteMinAge time.Duration `kong:"-"`
	// EnvironmentsRetry is the pause before what could not be read or opened is tried again; 0 means 30 s.
	EnvironmentsRetry time.Duration `kong:"-"`
}

// Validate returns an error for settings under which no script could run.
func (s Settings) Validate() error {
	err := errors.Join(s.Settings.Validate(), s.Zygote.Validate())
	if s.ZygoteIdle < time.Second {
		err = errors.Join(err, errors.New("ZYGOTE_IDLE must be at least 1s"))
	}
	return err
}
