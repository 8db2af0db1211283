package trial

import (
	"context"
	"errors"
	"testing"

	"cellblock/internal/jobs"
)

func outcome(code jobs.Code, hint string) jobs.Outcome {
	return jobs.Outcome{Failure: &jobs.Failure{Code: code, Hint: hint, Message: "as asked"}}
}

func value(result string) jobs.Outcome { return jobs.Outcome{Result: []byte(result)} }

func withUsage(o jobs.Outcome, cpuMS float64, peak int64) jobs.Outcome {
	o.Usage.CPUMS, o.Usage.MemoryPeakBytes = &cpuMS, &peak
	return o
}

func TestJudge(t *testing.T) {
	t.Parallel()
	over, late := value(`"not held"`), outcome(jobs.CodeTimeout, "")
	noMemory := outcome(jobs.CodeException, "the memory limit")
	noProcess := outcome(jobs.CodeException, "the process limit")
	tests := map[string]struct {
		trial   trial
		outcome jobs.Outcome
		want    []Result
	}{
		"memory held":             {memoryTrial, outcome(jobs.CodeMemoryLimit, ""), []Result{Bites}},
		"memory not held":         {memoryTrial, over, []Result{Toothless}},
		"memory, too slow":        {memoryTrial, withUsage(late, 1, 16<<20), []Result{Unknown}},
		"memory, no killer":       {memoryTrial, withUsage(late, 1, 64<<20), []Result{Toothless}},
		"memory, lost":            {memoryTrial, outcome(jobs.CodeWorkerLost, ""), []Result{Unknown}},
		"address space held":      {addressSpaceTrial, noMemory, []Result{Bites}},
		"address space not held":  {addressSpaceTrial, over, []Result{Toothless}},
		"processes held":          {processTrial, outcome(jobs.CodeProcessLimit, ""), []Result{Bites}},
		"processes by the rlimit": {processTrial, noProcess, []Result{Toothless}},
		"processes not held":      {processTrial, over, []Result{Toothless}},
		"processes, rlimits held": {rlimitProcessTrial, noProcess, []Result{Bites}},
		"processes, rlimits not":  {rlimitProcessTrial, over, []Result{Toothless}},
		"CPU held":                {cpuTrial, outcome(jobs.CodeCPULimit, ""), []Result{Bites}},
		"CPU not counted":         {cpuTrial, withUsage(over, 20, 0), []Result{Toothless}},
		"CPU counted, seen late":  {cpuTrial, withUsage(over, 990, 0), []Result{Unknown}},
		"CPU, too slow":           {cpuTrial, late, []Result{Unknown}},
		"CPU, rlimit not held":    {rlimitCPUTrial, withUsage(over, 3000, 0), []Result{Toothless}},
		"inside":                  {insideTrial, value(`{"opened":[],"errno":13}`), []Result{Bites, Bites}},
		"inside, a file":          {insideTrial, value(`{"opened":["/x"],"errno":13}`), []Result{Toothless, Bites}},
		"inside, a socket":        {insideTrial, value(`{"opened":[],"errno":0}`), []Result{Bites, Toothless}},
		"inside, no answer":       {insideTrial, late, []Result{Unknown, Unknown}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := test.trial.judge(test.outcome)
			if len(findings) != len(test.want) {
				t.Fatalf("got %+v", findings)
			}
			for i, f := range findings {
				if f.Result != test.want[i] || f.Text == "" {
					t.Errorf("got %+v, want result %d", f, test.want[i])
				}
			}
		})
	}
}

// scripted is a Sandbox that returns the next of some outcomes.
type scripted struct {
	next func(script string) jobs.Outcome
}

func (s scripted) Run(_ context.Context, script string, _ jobs.Entry, _ *jobs.Inputs) jobs.Outcome {
	return s.next(script)
}

// A trial that shows nothing is repeated.
func TestUnknownIsTriedAgain(t *testing.T) {
	t.Parallel()
	runs := 0
	acquire := func(context.Context, string) (Sandbox, error) {
		return scripted{func(string) jobs.Outcome {
			if runs++; runs < attempts {
				return outcome(jobs.CodeTimeout, "")
			}
			return outcome(jobs.CodeCPULimit, "")
		}}, nil
	}
	findings, err := cpuTrial.try(t.Context(), acquire)
	if err != nil || len(findings) != 1 || findings[0].Result != Bites || runs != attempts {
		t.Errorf("after %d runs: %+v, %v", runs, findings, err)
	}
}

func TestWithoutSandboxes(t *testing.T) {
	t.Parallel()
	missing := errors.New("no sandbox")
	acquire := func(context.Context, string) (Sandbox, error) { return nil, missing }
	if findings, err := Run(t.Context(), acquire, true); !errors.Is(err, missing) {
		t.Errorf("got %+v, %v", findings, err)
	}
}
