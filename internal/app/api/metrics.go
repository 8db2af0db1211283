package api

import (
	"cellblock/internal/app"
	"cellblock/internal/audit"
	"cellblock/internal/jobs/reaper"
	"cellblock/internal/jobs/store"
	"cellblock/internal/jobs/storedfiles"
	"cellblock/internal/membudget"
	"cellblock/internal/telemetry"
)

// openTelemetry creates the metrics, and opens the audit log, whose failures they count.
func (s *service) openTelemetry(whole telemetry.Service, cleanups *app.Cleanups) (err error) {
	s.metrics = telemetry.NewAPIMetrics(whole, s.logger)
	s.metrics.CountTenants(s.settings.Metrics)
	for _, action := range reaper.Actions() {
		s.metrics.AddReaperAction(string(action))
	}
	s.reaper.ObserveEnds(s.observeEnds)
	s.reaper.CountIn(reaperMetrics{s.metrics})
	s.audit, err = audit.Open(s.settings.Audit, s.logger, s.metrics.ObserveLostAuditLine)
	if err == nil {
		cleanups.AddFunc("audit log", cleanupBound, s.audit.Close)
	}
	return err
}

func (s *service) observeEnds(counts []store.EndedCount) {
	for _, count := range counts {
		s.metrics.ObserveEnded(count.Tenant, count.Outcome, count.Jobs)
	}
}

// reaperMetrics are the metrics of the API, for its reaper.
type reaperMetrics struct{ *telemetry.APIMetrics }

// ObserveAction implements reaper.Metrics.
func (m reaperMetrics) ObserveAction(action reaper.Action, n int) {
	m.ObserveReaperAction(string(action), n)
}

// SetWorking implements reaper.Metrics.
func (m reaperMetrics) SetWorking(working bool) { m.SetReaping(working) }

// watchBudgets adds the metrics of the memory budgets, but for that of webhooks.
func (s *service) watchBudgets(records *store.Store, resolver *storedfiles.Resolver) {
	for name, budget := range s.handler.Budgets() {
		s.watchBudget(name, budget)
	}
	s.watchBudget("results", records.Budget())
	s.watchBudget("inputs", resolver.Budget())
	if s.mcp != nil {
		s.watchBudget("mcp_files", s.mcp.FileBudget())
	}
}

// watchBudget adds the metrics of a memory budget.
func (s *service) watchBudget(name string, budget *membudget.Budget) {
	s.metrics.WatchBudget(name, func() telemetry.BudgetUse { return telemetry.BudgetUse(budget.Stats()) })
}
