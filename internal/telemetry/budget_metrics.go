package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// BudgetUse is what is known of a memory budget.
type BudgetUse struct {
	// Total and Used are bytes.
	Total, Used int64
	// Waits counts the requests that had to wait for memory, and Refusals those that got none in time.
	Waits, Refusals int64
}

var (
	budgetBytesDesc = serviceDesc("cellblock_memory_budget_bytes", "Memory that a budget has.", budgetLabel)
	budgetUsedDesc  = serviceDesc("cellblock_memory_budget_used_bytes", "Memory of a budget that is acquired.",
		budgetLabel)
	budgetWaitsDesc = serviceDesc("cellblock_memory_budget_waits_total",
		"Requests that had to wait for memory of a budget.", budgetLabel)
	budgetRefusalsDesc = serviceDesc("cellblock_memory_budget_refusals_total",
		"Requests that got no memory of a budget in time.", budgetLabel)
)

// budgetLabel is the label with the name of a budget.
const budgetLabel = "budget"

// budgetReader reads budgets at each scrape.
type budgetReader struct {
	mu    sync.Mutex
	names []string
	reads []func() BudgetUse
}

// WatchBudget adds the metrics of a memory budget, which read returns. Each name may be added once.
func (m *APIMetrics) WatchBudget(name string, read func() BudgetUse) {
	m.budgets.mu.Lock()
	defer m.budgets.mu.Unlock()
	m.budgets.names, m.budgets.reads = append(m.budgets.names, name), append(m.budgets.reads, read)
}

// Describe implements prometheus.Collector.
func (r *budgetReader) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{budgetBytesDesc, budgetUsedDesc, budgetWaitsDesc, budgetRefusalsDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (r *budgetReader) Collect(metrics chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, name := range r.names {
		use := r.reads[i]()
		for _, metric := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value int64
		}{
			{budgetBytesDesc, prometheus.GaugeValue, use.Total},
			{budgetUsedDesc, prometheus.GaugeValue, use.Used},
			{budgetWaitsDesc, prometheus.CounterValue, use.Waits},
			{budgetRefusalsDesc, prometheus.CounterValue, use.Refusals},
		} {
			metrics <- prometheus.MustNewConstMetric(metric.desc, metric.kind, float64(metric.value), name)
		}
	}
}
