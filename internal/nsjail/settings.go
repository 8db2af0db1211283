package nsjail

import (
	"errors"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/zygote"
)

// Settings configure how sandboxes are made and what they may use.
type Settings struct {
	host.Settings `embed:""`
	Sandbox       string          `name:"sandbox" env:"SANDBOX" enum:"warm,cold" default:"warm" help:"How sandboxes are made: 'warm' forks them from an interpreter that has the packages loaded, 'cold' starts one nsjail for each job."`
	Zygote        zygote.Settings `embed:""`
}

// Validate returns an error for settings under which no script could run.
func (s Settings) Validate() error {
	return errors.Join(s.Settings.Validate(), s.Zygote.Validate())
}
