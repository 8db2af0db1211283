package nsjail

import (
	"testing"

	"cellblock/internal/jobs"
)

// openWarm makes warm sandboxes with the given change to the defaults.
func openWarm(t testing.TB, ready int, change func(*Settings)) *Warm {
	t.Helper()
	cold := openCold(t, change)
	warm, err := NewWarm(t.Context(), cold.host, ready, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(warm.Close)
	return warm
}

func runWarm(t testing.TB, warm *Warm, script string) jobs.Outcome {
	t.Helper()
	s, err := warm.Acquire(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(t.Context(), script)
}

func TestWarmRunsAScript(t *testing.T) {
	warm := openWarm(t, 2, nil)
	for range 3 {
		o := runWarm(t, warm, `
import sys
def main():
    import numpy as np
    import pandas as pd
    print("Processing data...")
    print("oh", file=sys.stderr)
    data = np.array([1, 2, 3, 4, 5])
    return {"mean": float(np.mean(data)), "sum": int(np.sum(data))}
`)
		if o.Failure != nil {
			t.Fatalf("%+v\nstderr: %s", o.Failure, o.Stderr)
		}
		if got := string(o.Result); got != `{"mean": 3.0, "sum": 15}` && got != `{"mean":3.0,"sum":15}` {
			t.Errorf("result %s", got)
		}
		if o.Stdout != "Processing data...\n" || o.Stderr != "oh\n" {
			t.Errorf("stdout %q, stderr %q", o.Stdout, o.Stderr)
		}
		t.Logf("%+v cpu %v peak %v", o.Usage, *o.Usage.CPUMS, *o.Usage.MemoryPeakBytes)
	}
}
