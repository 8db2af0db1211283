package httpapi

import (
	"context"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Usage knows what jobs have used.
type Usage interface {
	// Usage returns the usage that the query selects, as far as the caller sees it. Errors: CodeInvalidRequest for a
	// range that is too long, CodeNotFound for a tenant that the caller does not see, CodeUnavailable.
	Usage(ctx context.Context, query jobs.UsageQuery) (jobs.UsageReport, error)
}

// GetUsage handles GET /usage.
func (h *Handler) GetUsage(w http.ResponseWriter, r *http.Request, params api.GetUsageParams) {
	query, err := usageQuery(params)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	report, err := h.usage.Usage(r.Context(), query)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	body := api.UsageReport{
		FirstDay: report.From.Format(jobs.DayFormat), LastDay: report.To.Format(jobs.DayFormat),
		Usage: make([]api.DayUsage, len(report.Days)),
	}
	var sum jobs.DayUsage
	for i, row := range report.Days {
		sum.Add(row)
		body.Usage[i] = api.DayUsage{
			Tenant: string(row.Tenant), Day: row.Day.Format(jobs.DayFormat), Jobs: row.Jobs,
			CPUSeconds: row.CPU.Seconds(), WallSeconds: row.Wall.Seconds(),
			BytesIn: row.BytesIn, BytesOut: row.BytesOut, Label: row.Label,
		}
	}
	body.Totals = api.UsageTotals{
		Jobs: sum.Jobs, CPUSeconds: sum.CPU.Seconds(), WallSeconds: sum.Wall.Seconds(), BytesIn: sum.BytesIn,
		BytesOut: sum.BytesOut,
	}
	h.writeJSON(w, r, http.StatusOK, body)
}

// usageQuery returns the query for the parameters of GET /usage. The store checks the range.
func usageQuery(params api.GetUsageParams) (query jobs.UsageQuery, err error) {
	if query.From, err = parseDay("from", params.From); err != nil {
		return query, err
	}
	if query.To, err = parseDay("to", params.To); err != nil {
		return query, err
	}
	if params.By != nil {
		if *params.By != "label" {
			return query, jobs.Errorf(jobs.CodeInvalidRequest, `"by" must be label`)
		}
		query.ByLabel = true
	}
	query.Tenant, err = tenantParameter(params.Tenant)
	return query, err
}

// parseDay parses the parameter with that name; nil is the zero time.
func parseDay(name string, text *string) (time.Time, error) {
	if text == nil {
		return time.Time{}, nil
	}
	day, err := time.Parse(jobs.DayFormat, *text)
	if err != nil {
		return time.Time{}, jobs.Errorf(jobs.CodeInvalidRequest, "%q must be a date such as 2026-01-31", name)
	}
	return day, nil
}
