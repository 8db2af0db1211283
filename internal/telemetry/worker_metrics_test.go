package telemetry

import (
	"testing"

	"cellblock/internal/jobs"
)

func TestWorkerMetrics(t *testing.T) {
	t.Parallel()
	m := NewWorkerMetrics()
	m.SetSandboxKind("cold")
	m.SetLimits("cgroup v2")
	usage := jobs.Usage{QueuedMS: 0.2, PrepareMS: 21, RunMS: 1200}
	m.JobStarted()
	m.JobStarted()
	m.JobEnded(jobs.Outcome{Usage: usage})
	m.JobEnded(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeTimeout}, Usage: usage})
	m.JobStarted()
	wantLines(t, scrape(t, m.Handler()),
		`cellblock_jobs_total{outcome="succeeded"} 1`,
		`cellblock_jobs_total{outcome="timeout"} 1`,
		`cellblock_jobs_running 1`,
		`cellblock_sandbox_info{kind="cold"} 1`,
		`cellblock_limits_info{by="cgroup v2"} 1`,
		`cellblock_job_phase_seconds_bucket{phase="queued",le="0.0005"} 2`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.01"} 0`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.025"} 2`,
		`cellblock_job_phase_seconds_count{phase="run"} 2`,
	)
}
