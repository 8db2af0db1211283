package worker

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// TestNoTracesCostNothing: what a job costs without a tracer.
func TestNoTracesCostNothing(t *testing.T) {
	var traces Traces = noTraces{}
	ctx, job := t.Context(), jobs.Job{ID: "a"}
	allocations := testing.AllocsPerRun(100, func() {
		ofJob, end := traces.StartJob(ctx, job, time.Time{}, 0)
		ofStep, endStep := traces.StartStep(traces.Carry(ctx, ofJob), "run")
		traces.SetOutcome(ofStep, jobs.Outcome{})
		endStep(nil)
		end(nil)
		if ofStep != ctx {
			t.Error("there is another context")
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}
