package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

// stubUsage is a Usage that notes the query, and has two rows.
type stubUsage struct{ query *jobs.UsageQuery }

func (s stubUsage) Usage(_ context.Context, query jobs.UsageQuery) (jobs.UsageReport, error) {
	*s.query = query
	if query.Tenant == "other" {
		return jobs.UsageReport{}, jobs.Errorf(jobs.CodeNotFound, "there is no such tenant")
	}
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	if query.ByLabel {
		return jobs.UsageReport{From: day, To: day, Days: []jobs.DayUsage{
			{Tenant: "acme", Day: day, Jobs: map[string]int64{"ok": 2}},
			{Tenant: "acme", Day: day, Jobs: map[string]int64{"ok": 4}, Label: new("")},
			{Tenant: "acme", Day: day, Jobs: map[string]int64{"ok": 8}, Label: new("42")},
		}}, nil
	}
	return jobs.UsageReport{From: day, To: day.AddDate(0, 0, 1), Days: []jobs.DayUsage{
		{
			Tenant: "acme", Day: day, Jobs: map[string]int64{"ok": 2, "timeout": 1}, CPU: 1500 * time.Millisecond,
			Wall: 2 * time.Second, BytesIn: 10, BytesOut: 20,
		},
		{Tenant: "acme", Day: day.AddDate(0, 0, 1), Jobs: map[string]int64{"ok": 1}, BytesIn: 1 << 40, BytesOut: 1},
	}}, nil
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var query jobs.UsageQuery
	h := newHandler(t, stubJobs{})
	h.usage = stubUsage{&query}
	url := serve(t, h) + "/usage"
	got := send(t, http.MethodGet, url+"?from=2026-01-31&to=2026-02-01&tenant=acme", "")
	loadContract(t).check(t, http.MethodGet, url, "", got, true)
	wantResponse(t, got, http.StatusOK, "")
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	if diff := cmp.Diff(jobs.UsageQuery{From: day, To: day.AddDate(0, 0, 1), Tenant: "acme"}, query); diff != "" {
		t.Error(diff)
	}
	const want = `{"first_day":"2026-01-31","last_day":"2026-02-01","usage":[` +
		`{"tenant":"acme","day":"2026-01-31","jobs":{"ok":2,"timeout":1},"cpu_seconds":1.5,"wall_seconds":2,` +
		`"bytes_in":10,"bytes_out":20},` +
		`{"tenant":"acme","day":"2026-02-01","jobs":{"ok":1},"cpu_seconds":0,"wall_seconds":0,` +
		`"bytes_in":1099511627776,"bytes_out":1}],` +
		`"totals":{"jobs":{"ok":3,"timeout":1},"cpu_seconds":1.5,"wall_seconds":2,` +
		`"bytes_in":1099511627786,"bytes_out":21}}`
	if diff := cmp.Diff(decode(t, want), decode(t, got.body)); diff != "" {
		t.Error(diff)
	}
	if send(t, http.MethodGet, url, ""); query != (jobs.UsageQuery{}) {
		t.Errorf("by default it asks for %+v", query)
	}
	for parameters, code := range map[string]jobs.Code{
		"?from=yesterday": jobs.CodeInvalidRequest, "?to=2026-02-30": jobs.CodeInvalidRequest,
		"?by=tenant": jobs.CodeInvalidRequest, "?by=": jobs.CodeInvalidRequest,
		"?tenant=A": jobs.CodeInvalidRequest, "?tenant=": jobs.CodeInvalidRequest, "?tenant=other": jobs.CodeNotFound,
	} {
		refused := send(t, http.MethodGet, url+parameters, "")
		wantResponse(t, refused, statusOf(code), code)
		loadContract(t).check(t, http.MethodGet, url, "", refused, true)
	}
}

func TestUsageByLabel(t *testing.T) {
	t.Parallel()
	var query jobs.UsageQuery
	h := newHandler(t, stubJobs{})
	h.usage = stubUsage{&query}
	url := serve(t, h) + "/usage?by=label"
	got := send(t, http.MethodGet, url, "")
	loadContract(t).check(t, http.MethodGet, url, "", got, true)
	wantResponse(t, got, http.StatusOK, "")
	const rest = `"cpu_seconds":0,"wall_seconds":0,"bytes_in":0,"bytes_out":0`
	const want = `{"first_day":"2026-01-31","last_day":"2026-01-31","usage":[` +
		`{"tenant":"acme","day":"2026-01-31","jobs":{"ok":2},` + rest + `},` +
		`{"tenant":"acme","day":"2026-01-31","jobs":{"ok":4},` + rest + `,"label":""},` +
		`{"tenant":"acme","day":"2026-01-31","jobs":{"ok":8},` + rest + `,"label":"42"}],` +
		`"totals":{"jobs":{"ok":14},` + rest + `}}`
	if diff := cmp.Diff(decode(t, want), decode(t, got.body)); diff != "" {
		t.Error(diff)
	}
	if !query.ByLabel {
		t.Errorf("it asks for %+v", query)
	}
}
