package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cellblock/internal/jobs"
)

// WorkerMetrics are the metrics of a worker. It is safe for concurrent use.
type WorkerMetrics struct {
	registry *prometheus.Registry
	ended    *prometheus.CounterVec
	phases   *prometheus.HistogramVec
	running  prometheus.Gauge
	slots    prometheus.Gauge
	redisUp  prometheus.Gauge
	sandbox  *prometheus.GaugeVec
	limits   *prometheus.GaugeVec
	zygotes  zygoteMetrics
}

// NewWorkerMetrics returns a worker's metrics. deathReasons are the reasons for which a zygote may die.
func NewWorkerMetrics(deathReasons ...string) *WorkerMetrics {
	m := &WorkerMetrics{
		registry: newRegistry(),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_jobs_total",
			Help: "Jobs that this worker ended, by outcome: succeeded, or the code of the failure.",
		}, []string{"outcome"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cellblock_job_phase_seconds",
			Help:    "Time that jobs spent in each phase: queued, prepare (waiting for a sandbox), run.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60},
		}, []string{"phase"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cellblock_jobs_running",
			Help: "Jobs that this worker is running.",
		}),
		slots: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cellblock_slots",
			Help: "Jobs that this worker runs at once.",
		}),
		redisUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cellblock_worker_redis_up",
			Help: "1, or 0 while the heartbeats of this worker do not reach Redis.",
		}),
		sandbox: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cellblock_sandbox_info",
			Help: "1 for the kind of sandbox that this worker uses.",
		}, []string{"kind"}),
		limits: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cellblock_limits_info",
			Help: "1 for what enforces the limits of jobs: cgroup v1, cgroup v2, or rlimits (for each process).",
		}, []string{"by"}),
		zygotes: newZygoteMetrics(deathReasons),
	}
	m.registry.MustRegister(m.ended, m.phases, m.running, m.slots, m.redisUp, m.sandbox, m.limits)
	m.registry.MustRegister(m.zygotes.starts, m.zygotes.deaths, m.zygotes.forks, m.zygotes.cold)
	// exists from the start, so that rate() sees the first increase
	m.ended.WithLabelValues(string(jobs.StateSucceeded))
	return m
}

// SetSandboxKind sets the kind of sandbox that the worker uses, such as "cold".
func (m *WorkerMetrics) SetSandboxKind(kind string) { m.sandbox.WithLabelValues(kind).Set(1) }

// SetLimits sets what enforces the limits of jobs, such as "cgroup v2" or "rlimits".
func (m *WorkerMetrics) SetLimits(by string) { m.limits.WithLabelValues(by).Set(1) }

// SetSlots sets how many jobs the worker runs at once.
func (m *WorkerMetrics) SetSlots(n int) { m.slots.Set(float64(n)) }

// SetRedisUp records whether a heartbeat has reached Redis.
func (m *WorkerMetrics) SetRedisUp(up bool) { m.redisUp.Set(boolValue(up)) }

// JobStarted counts a job as running. Call JobEnded once for each call.
func (m *WorkerMetrics) JobStarted() { m.running.Inc() }

// JobEnded counts the end of a job by its outcome, and the time that it spent in each phase.
func (m *WorkerMetrics) JobEnded(outcome jobs.Outcome) {
	m.running.Dec()
	name := string(jobs.StateSucceeded)
	if outcome.Failure != nil {
		name = string(outcome.Failure.Code)
	}
	m.ended.WithLabelValues(name).Inc()
	m.observePhase("queued", outcome.Usage.QueuedMS)
	m.observePhase("prepare", outcome.Usage.PrepareMS)
	m.observePhase("run", outcome.Usage.RunMS)
}

// Handler serves scrapes.
func (m *WorkerMetrics) Handler() http.Handler { return scrapeHandler(m.registry) }

func (m *WorkerMetrics) observePhase(phase string, ms float64) {
	m.phases.WithLabelValues(phase).Observe(time.Duration(ms * float64(time.Millisecond)).Seconds())
}
