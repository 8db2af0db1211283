package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"cellblock/internal/jobs"
)

// reaperMetrics are those of what a reaper does. Of the replicas, one works.
type reaperMetrics struct {
	ended   *prometheus.CounterVec // jobs
	working prometheus.Gauge
	actions *prometheus.CounterVec
}

func newReaperMetrics() reaperMetrics {
	m := reaperMetrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_ended_jobs_total",
			Help: "Jobs that have ended, whichever process ended them, by outcome: ok, or a code. Each is counted by " +
				"one replica.",
		}, []string{"outcome"}),
		working: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cellblock_reaper_working",
			Help: "1 if the reaper of this replica works, 0 if that of another does.",
		}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_reaper_actions_total",
			Help: "What the reaper of this replica has repaired, by action.",
		}, []string{"action"}),
	}
	for _, outcome := range []string{
		jobs.OutcomeOK, string(jobs.CodeInternal), string(jobs.CodeNotStarted), string(jobs.CodeUnavailable),
		string(jobs.CodeWorkerLost),
	} { // for which there are alerts: they exist from the start, so that increase() sees the first one
		m.ended.WithLabelValues(outcome)
	}
	return m
}

// AddReaperAction makes an action of the reaper exist from the start, so that rate() sees the first increase.
func (m *APIMetrics) AddReaperAction(name string) { m.reaper.actions.WithLabelValues(name) }

// ObserveReaperAction counts n repairs of the reaper.
func (m *APIMetrics) ObserveReaperAction(name string, n int) {
	m.reaper.actions.WithLabelValues(name).Add(float64(n))
}

// SetReaping records whether the reaper of this replica works.
func (m *APIMetrics) SetReaping(working bool) { m.reaper.working.Set(boolValue(working)) }

func boolValue(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
