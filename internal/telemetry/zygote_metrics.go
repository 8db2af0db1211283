package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// zygoteMetrics are those of a worker's warm sandboxes.
type zygoteMetrics struct {
	deathReasons []string
	starts       *prometheus.CounterVec
	deaths       *prometheus.CounterVec
	forks        prometheus.Histogram
	cold         prometheus.Counter
}

func newZygoteMetrics(deathReasons []string) zygoteMetrics {
	return zygoteMetrics{
		deathReasons: deathReasons,
		starts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_zygote_starts_total",
			Help: "Zygotes that started and made a first sandbox.",
		}, []string{environmentLabel}),
		deaths: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_zygote_deaths_total",
			Help: "Zygotes that did not start, or ended otherwise than as planned, by reason.",
		}, []string{environmentLabel, "reason"}),
		forks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "cellblock_fork_seconds",
			Help:    "Time from the request for a fork until the sandbox is ready.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		cold: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cellblock_cold_sandboxes_total",
			Help: "Jobs that got a cold sandbox although warm ones are wanted.",
		}),
	}
}

// ZygoteStarted counts a zygote of an environment that started and made a first sandbox.
func (m *WorkerMetrics) ZygoteStarted(environment string) {
	m.zygotes.starts.WithLabelValues(environment).Inc()
	for _, reason := range m.zygotes.deathReasons { // exist from now on, so that rate() sees the first death
		m.zygotes.deaths.WithLabelValues(environment, reason)
	}
}

// ZygoteDied counts a zygote that did not start, or ended otherwise than as planned.
func (m *WorkerMetrics) ZygoteDied(environment, reason string) {
	m.zygotes.deaths.WithLabelValues(environment, reason).Inc()
}

// Forked counts a sandbox that became ready that long after its zygote was asked for it.
func (m *WorkerMetrics) Forked(took time.Duration) { m.zygotes.forks.Observe(took.Seconds()) }

// RanCold counts a job that got a cold sandbox although warm ones are wanted.
func (m *WorkerMetrics) RanCold() { m.zygotes.cold.Inc() }

var readySandboxesDesc = prometheus.NewDesc("cellblock_ready_sandboxes",
	"Warm sandboxes that wait for a job, by kind: plain, or the packages that are loaded.",
	[]string{environmentLabel, "kind"}, nil)

// readyReader calls a function that returns how many sandboxes wait for a job, by environment and kind.
type readyReader func() map[string]map[string]int

// WatchReady adds the metric of the warm sandboxes that wait for a job, which read returns by environment and kind.
// Call it once.
func (m *WorkerMetrics) WatchReady(read func() map[string]map[string]int) {
	m.registry.MustRegister(readyReader(read))
}

// Describe implements prometheus.Collector.
func (r readyReader) Describe(descs chan<- *prometheus.Desc) { descs <- readySandboxesDesc }

// Collect implements prometheus.Collector.
func (r readyReader) Collect(metrics chan<- prometheus.Metric) {
	for environment, kinds := range r() {
		for kind, n := range kinds {
			metrics <- prometheus.MustNewConstMetric(readySandboxesDesc, prometheus.GaugeValue, float64(n), environment,
				kind)
		}
	}
}
