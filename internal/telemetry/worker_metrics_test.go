package telemetry

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
)

func TestWorkerMetrics(t *testing.T) {
	t.Parallel()
	m := NewWorkerMetrics("exited", "stuck")
	m.SetSlots(4)
	m.SetRedisUp(true)
	m.ZygoteStarted("default")
	m.ZygoteStarted("science")
	m.ZygoteDied("default", "exited")
	m.Forked(7 * time.Millisecond)
	m.RanCold()
	m.WatchReady(func() map[string]map[string]int {
		return map[string]map[string]int{"default": {"plain": 2, "numpy,pandas": 1}, "science": {"plain": 0}}
	})
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
		`cellblock_slots 4`,
		`cellblock_worker_redis_up 1`,
		`cellblock_zygote_starts_total{environment="science"} 1`,
		`cellblock_zygote_deaths_total{environment="default",reason="exited"} 1`,
		`cellblock_zygote_deaths_total{environment="science",reason="stuck"} 0`,
		`cellblock_fork_seconds_bucket{le="0.005"} 0`,
		`cellblock_fork_seconds_bucket{le="0.01"} 1`,
		`cellblock_cold_sandboxes_total 1`,
		`cellblock_ready_sandboxes{environment="default",kind="numpy,pandas"} 1`,
		`cellblock_ready_sandboxes{environment="science",kind="plain"} 0`,
		`cellblock_sandbox_info{kind="cold"} 1`,
		`cellblock_limits_info{by="cgroup v2"} 1`,
		`cellblock_job_phase_seconds_bucket{phase="queued",le="0.0005"} 2`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.01"} 0`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.025"} 2`,
		`cellblock_job_phase_seconds_count{phase="run"} 2`,
	)
}
