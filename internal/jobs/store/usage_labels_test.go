package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// newLabelStore returns a store that counts usage by the label customer.
func newLabelStore(t *testing.T) (*store.Store, redis.UniversalClient) {
	t.Helper()
	_, client := newStore(t)
	byLabel := settings
	byLabel.UsageLabel = "customer"
	return store.New(client, byLabel), client
}

// byLabel returns the usage of a day by label; a zero day is today.
func byLabel(t *testing.T, s *store.Store, tenant jobs.Tenant, on time.Time) []jobs.DayUsage {
	t.Helper()
	report, err := s.Usage(t.Context(), jobs.UsageQuery{Tenant: tenant, From: on, To: on, ByLabel: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Days {
		report.Days[i].Day = time.Time{}
	}
	return report.Days
}

func TestUsageByLabel(t *testing.T) {
	t.Parallel()
	s, client := newLabelStore(t)
	other := store.New(client, settings) // a worker, which has no such setting
	end := func(tenant jobs.Tenant, labels map[string]string, outcome jobs.Outcome) (id string) {
		id = createJob(t, s, func(j *jobs.Job) { j.Tenant, j.Labels, j.Script = tenant, labels, "script" }).ID
		for range 2 { // a worker repeats an end whose reply was lost
			endJob(t, other, id, outcome)
		}
		return id
	}
	label := func(value string) map[string]string { return map[string]string{"customer": value, "n": "1"} }
	end("acme", label("42"), used(nil))
	end("acme", label("42"), used(&jobs.Failure{Code: jobs.CodeTimeout}))
	end("acme", label("7"), used(nil))
	end("acme", label(""), used(nil))
	id := end("acme", map[string]string{"n": "42"}, used(nil))
	end("beta", label("42"), used(nil))
	if client.HExists(t.Context(), "cellblock:{"+id+"}:job", "usage_label").Val() {
		t.Error("a job without the label has a value")
	}
	row := func(tenant jobs.Tenant, label *string, n int64, outcomes map[string]int64) jobs.DayUsage {
		return jobs.DayUsage{
			Tenant: tenant, Label: label, Jobs: outcomes, CPU: time.Duration(n) * 1500 * time.Microsecond,
			Wall: time.Duration(n) * 2250 * time.Microsecond, BytesIn: n * 6, BytesOut: n * 25,
		}
	}
	want := []jobs.DayUsage{
		row("acme", nil, 2, map[string]int64{"ok": 2}),
		row("acme", new("42"), 2, map[string]int64{"ok": 1, "timeout": 1}),
		row("acme", new("7"), 1, map[string]int64{"ok": 1}),
		row("beta", new("42"), 1, map[string]int64{"ok": 1}),
	}
	for range 2 {
		countUsage(t, s)
		if diff := cmp.Diff(want, byLabel(t, s, "", time.Time{})); diff != "" {
			t.Error(diff)
		}
	}
	all := []jobs.DayUsage{row("acme", nil, 5, map[string]int64{"ok": 4, "timeout": 1})}
	if diff := cmp.Diff(all, readUsage(t, s, "acme")); diff != "" {
		t.Error(diff)
	}
	key := "cellblock:{usage}:beta:" + time.Now().UTC().Format(jobs.DayFormat) + ":labels"
	if ttl := client.TTL(t.Context(), key).Val(); ttl < 92*24*time.Hour {
		t.Errorf("the sum is kept for %v", ttl)
	}
	if _, err := other.Usage(t.Context(), jobs.UsageQuery{ByLabel: true}); jobs.CodeOf(err) != jobs.CodeInvalidRequest {
		t.Errorf("without the setting: %v", err)
	}
}

// However many values there are, the hash has a thousand, and each job is counted once, also by several reapers.
func TestValuesOfUsageAreBounded(t *testing.T) {
	t.Parallel()
	s, client := newLabelStore(t)
	const values, times = 2500, 4
	pipeline := client.Pipeline()
	for i := range values * times {
		pipeline.RPush(t.Context(), usageList, fmt.Sprintf("acme 20000 1 ok 2 3 4 v%d", i%values))
	}
	pipeline.RPush(t.Context(), usageList, "acme 20000 1 ok 2 3 4", "beta 20000 1 ok 2 3 4 v1")
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	var counters sync.WaitGroup
	for range 3 {
		counters.Go(func() {
			if _, err := s.CountUsage(t.Context(), 100); err != nil {
				t.Error(err)
			}
		})
	}
	counters.Wait()
	on := time.Unix(20000*24*60*60, 0).UTC()
	rows := byLabel(t, s, "acme", on)
	if len(rows) != 1002 || rows[0].Label != nil || *rows[1].Label != "" {
		t.Fatalf("%d rows", len(rows))
	}
	var sum jobs.DayUsage
	for i, row := range rows {
		sum.Add(row)
		want := map[int]int64{0: 1, 1: (values - 1000) * times}[i]
		if i > 1 {
			want = times
		}
		if row.Jobs["ok"] != want || row.BytesIn != want {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	const n = values*times + 1
	want := jobs.DayUsage{
		Jobs: map[string]int64{"ok": n}, CPU: n * 2 * time.Microsecond, Wall: n * 3 * time.Microsecond,
		BytesIn: n, BytesOut: n * 4,
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if rows := byLabel(t, s, "beta", on); len(rows) != 1 || rows[0].Jobs["ok"] != 1 || *rows[0].Label != "v1" {
		t.Errorf("another tenant: %+v", rows)
	}
	key := "cellblock:{usage}:acme:" + on.Format(jobs.DayFormat) + ":labels"
	if size := client.MemoryUsage(t.Context(), key, 0).Val(); size > 250_000 {
		t.Errorf("the sums by label have %d bytes", size)
	}
}

// A range whose rows would be too many is refused before all are read.
func TestRowsByLabelAreBounded(t *testing.T) {
	t.Parallel()
	s, client := newLabelStore(t)
	pipeline := client.Pipeline()
	for day := 20000; day < 20033; day++ {
		for value := range 1000 {
			pipeline.RPush(t.Context(), usageList, fmt.Sprintf("acme %d 1 ok 2 3 4 v%d", day, value))
		}
	}
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	countUsage(t, s)
	from := time.Unix(20000*24*60*60, 0).UTC()
	for days, want := range map[int]int{31: 31_000, 33: -1} {
		query := jobs.UsageQuery{Tenant: "acme", From: from, To: from.AddDate(0, 0, days-1), ByLabel: true}
		report, err := s.Usage(t.Context(), query)
		if want >= 0 && (err != nil || len(report.Days) != want) ||
			want < 0 && jobs.CodeOf(err) != jobs.CodeInvalidRequest {
			t.Errorf("%d days: %d rows, %v", days, len(report.Days), err)
		}
	}
}

func TestUsageLabelIsTheKeyOfALabel(t *testing.T) {
	t.Parallel()
	for key, valid := range map[string]bool{
		"": true, "customer": true, "example.com/customer": true, "a b": false, "-a": false, "A.com/x": false,
	} {
		with := settings
		with.UsageLabel = key
		if err := with.Validate(); (err == nil) != valid {
			t.Errorf("%q: %v", key, err)
		}
	}
}
