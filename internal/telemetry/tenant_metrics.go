package telemetry

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"cellblock/internal/jobs"
)

// TenantSettings select the tenants with metrics of their own.
type TenantSettings struct {
	Tenants []string `name:"metrics-tenants" env:"METRICS_TENANTS" placeholder:"TENANTS" help:"Tenants (comma-separated), at most 100, whose jobs and requests are counted in metrics of their own, such as acme,beta; all others are counted together as other. Empty (the default) is no such metric. There is no word for all tenants: GET /usage has them."`
}

const (
	// maxTenants bounds the number of tenants with metrics of their own: each has a series for each outcome and status.
	maxTenants = 100
	// otherTenants is the label of all others.
	otherTenants = "other"
)

// Validate returns an error for what is no tenant's name, and for too many.
func (s TenantSettings) Validate() error {
	if len(s.Tenants) > maxTenants {
		return fmt.Errorf("METRICS_TENANTS names %d tenants, at most %d are allowed", len(s.Tenants), maxTenants)
	}
	for _, name := range s.Tenants {
		switch {
		case name == "*":
			return errors.New("METRICS_TENANTS must name the tenants: metrics for all of them would have no bound; " +
				"GET /usage has them")
		case name == otherTenants:
			return errors.New(`METRICS_TENANTS cannot name "other", which stands for all other tenants`)
		case !jobs.IsTenantName(name):
			return fmt.Errorf("METRICS_TENANTS: %.70q is not the name of a tenant", name)
		}
	}
	return nil
}

// tenantMetrics are counters by tenant, for a few of them. A nil one counts nothing.
type tenantMetrics struct {
	named    map[string]bool
	jobs     *prometheus.CounterVec
	requests *prometheus.CounterVec
}

// CountTenants adds the metrics of the settings' tenants, if there are any. Call it once, before the other methods.
func (m *APIMetrics) CountTenants(settings TenantSettings) {
	if len(settings.Tenants) == 0 {
		return
	}
	m.tenants = &tenantMetrics{
		named: map[string]bool{},
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_tenant_jobs_total",
			Help: "Jobs that have ended, by tenant and outcome: ok, or a code. Each is counted by one replica.",
		}, []string{"tenant", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cellblock_tenant_requests_total",
			Help: "HTTP requests whose caller is known, by tenant and status of the response.",
		}, []string{"tenant", "code"}),
	}
	for _, name := range append([]string{otherTenants}, settings.Tenants...) {
		m.tenants.named[name] = true
		m.tenants.jobs.WithLabelValues(name, jobs.OutcomeOK) // exists from the start, so that rate() sees the first one
	}
	m.registry.MustRegister(m.tenants.jobs, m.tenants.requests)
}

func (t *tenantMetrics) label(tenant string) string {
	if t.named[tenant] {
		return tenant
	}
	return otherTenants
}

// ObserveEnded counts n jobs of a tenant that have ended with one outcome: jobs.OutcomeOK or a code.
func (m *APIMetrics) ObserveEnded(tenant jobs.Tenant, outcome string, n int) {
	m.reaper.ended.WithLabelValues(outcome).Add(float64(n))
	if m.tenants != nil {
		m.tenants.jobs.WithLabelValues(m.tenants.label(string(tenant)), outcome).Add(float64(n))
	}
}

// ObserveTenantRequest counts one request of a tenant; none of "", a caller that is not known.
func (m *APIMetrics) ObserveTenantRequest(tenant string, status int) {
	if m.tenants != nil && tenant != "" {
		m.tenants.requests.WithLabelValues(m.tenants.label(tenant), strconv.Itoa(status)).Inc()
	}
}
