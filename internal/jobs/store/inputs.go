package store

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// storedInputs is jobs.Inputs as it is stored; nothing that is not given takes
// any room.
type storedInputs struct {
	Args   jsontext.Value    `json:"args,omitzero"`
	Stdin  string            `json:"stdin,omitzero"`
	Env    map[string]string `json:"env,omitzero"`
	Limits storedLimits      `json:"limits,omitzero"`
}

type storedLimits struct {
	WallUS    int64 `json:"wall_us,omitzero"`
	CPUUS     int64 `json:"cpu_us,omitzero"`
	Memory    int64 `json:"memory,omitzero"`
	Processes int   `json:"processes,omitzero"`
	Output    int64 `json:"output,omitzero"`
}

// encodeInputs gives the inputs as they are stored; nothing for none.
func encodeInputs(in *jobs.Inputs) ([]byte, error) {
	if in == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(storedInputs{
		Args: in.Args, Stdin: in.Stdin, Env: in.Env,
		Limits: storedLimits{
			WallUS: in.Limits.Wall.Microseconds(), CPUUS: in.Limits.CPU.Microseconds(),
			Memory: in.Limits.MemoryBytes, Processes: in.Limits.Processes, Output: in.Limits.OutputBytes,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the inputs: %w", err)
	}
	return encoded, nil
}

func decodeInputs(encoded string) (*jobs.Inputs, error) {
	if encoded == "" {
		return nil, nil
	}
	var in storedInputs
	if err := json.Unmarshal([]byte(encoded), &in); err != nil {
		return nil, fmt.Errorf("decode the inputs: %w", err)
	}
	return &jobs.Inputs{
		Args: in.Args, Stdin: in.Stdin, Env: in.Env,
		Limits: jobs.AskedLimits{
			Wall: time.Duration(in.Limits.WallUS) * time.Microsecond, CPU: time.Duration(in.Limits.CPUUS) * time.Microsecond,
			MemoryBytes: in.Limits.Memory, Processes: in.Limits.Processes, OutputBytes: in.Limits.Output,
		},
	}, nil
}
