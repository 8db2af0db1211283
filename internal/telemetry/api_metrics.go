package telemetry

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cellblock/internal/jobs"
)

// APIMetrics are the metrics of the API. It is safe for concurrent use.
type APIMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	attempts *prometheus.CounterVec // of webhooks
	webhooks *prometheus.CounterVec // that have ended
	hangUps  *prometheus.CounterVec
	refused  *prometheus.CounterVec // connections
	cut      *prometheus.CounterVec // slow clients
	unlogged prometheus.Counter     // lines of the audit log
	reaper   reaperMetrics
	budgets  budgetReader
	tenants  *tenantMetrics // nil for none
}

// NewAPIMetrics returns the API's metrics; without those of the whole service if service is nil.
func NewAPIMetrics(service Service, logger *slog.Logger) *APIMetrics {
	m := &APIMetrics{
		registry: newRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_http_requests_total",
			Help: "HTTP requests, by route, method and status of the response.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cellblock_http_request_duration_seconds",
			Help:    "Time from a request's header to the end of its response.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 20, 30},
		}, []string{"route", "method"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_callback_attempts_total",
			Help: "Attempts to deliver a webhook, by result: delivered, or the reason of the failure.",
		}, []string{"result"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_callbacks_total",
			Help: "Webhooks that have ended, by status: delivered, or failed.",
		}, []string{"status"}),
		hangUps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_hangups_total",
			Help: "Clients that hung up on a synchronous request whose job was accepted, by what happened to the " +
				"job: withdrawn, or kept.",
		}, []string{"job"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_refused_connections_total",
			Help: "Connections that were refused, by bound: total, or address.",
		}, []string{"bound"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_slow_clients_cut_total",
			Help: "Requests that were ended since their client was too slow while others waited for memory, by what " +
				"was slow: body, or response.",
		}, []string{"of"}),
		unlogged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cellblock_audit_lines_lost_total",
			Help: "Lines of the audit log that could not be written.",
		}),
		reaper: newReaperMetrics(),
	}
	m.countFromZero()
	m.registry.MustRegister(m.requests, m.duration, m.attempts, m.webhooks, m.hangUps, m.refused, m.cut,
		m.unlogged, m.reaper.ended, m.reaper.working, m.reaper.actions, &m.budgets)
	if service != nil {
		m.registry.MustRegister(&serviceReader{service: service, logger: logger})
	}
	return m
}

// countFromZero makes counters exist from the start, so that rate() sees their first increase.
func (m *APIMetrics) countFromZero() {
	m.hangUps.WithLabelValues("withdrawn")
	m.hangUps.WithLabelValues("kept")
	m.refused.WithLabelValues("total")
	m.refused.WithLabelValues("address")
	m.cut.WithLabelValues("body")
	m.cut.WithLabelValues("response")
	m.webhooks.WithLabelValues(string(jobs.WebhookDelivered))
	m.webhooks.WithLabelValues(string(jobs.WebhookFailed))
}

// ObserveRequest counts one request. route and method must come from small fixed sets, not from the client.
func (m *APIMetrics) ObserveRequest(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}

// ObserveWebhook counts one attempt to deliver a webhook. failureReason is "" for success; status is the webhook's new
// status.
func (m *APIMetrics) ObserveWebhook(failureReason string, status jobs.WebhookStatus) {
	result := failureReason
	if result == "" {
		result = "delivered"
	}
	m.attempts.WithLabelValues(result).Inc()
	if status.Over() {
		m.webhooks.WithLabelValues(string(status)).Inc()
	}
}

// ObserveHangUp counts a client that disconnected while it waited for its job, and whether the job was withdrawn.
func (m *APIMetrics) ObserveHangUp(withdrawn bool) {
	job := "kept"
	if withdrawn {
		job = "withdrawn"
	}
	m.hangUps.WithLabelValues(job).Inc()
}

// ObserveRefusedConnection counts a connection beyond a bound: that of its address, or of all.
func (m *APIMetrics) ObserveRefusedConnection(perAddress bool) {
	bound := "total"
	if perAddress {
		bound = "address"
	}
	m.refused.WithLabelValues(bound).Inc()
}

// ObserveCut counts a request that was ended since its client was too slow: its body, or its response.
func (m *APIMetrics) ObserveCut(of string) { m.cut.WithLabelValues(of).Inc() }

// ObserveLostAuditLine counts a line of the audit log that could not be written.
func (m *APIMetrics) ObserveLostAuditLine() { m.unlogged.Inc() }

// Handler serves scrapes.
func (m *APIMetrics) Handler() http.Handler { return scrapeHandler(m.registry) }
