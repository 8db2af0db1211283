package store_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

const usageList = "cellblock:{index}:usage"

func countUsage(t *testing.T, s *store.Store) []store.EndedCount {
	t.Helper()
	counts, err := s.CountUsage(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// readUsage returns the usage of today of one tenant, or of all for "".
func readUsage(t *testing.T, s *store.Store, tenant jobs.Tenant) []jobs.DayUsage {
	t.Helper()
	report, err := s.Usage(t.Context(), jobs.UsageQuery{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Days {
		report.Days[i].Day = time.Time{}
	}
	return report.Days
}

// used returns an outcome that used 1.5 ms of CPU, 2.25 ms of wall time, and produced 3 + 4 + 5 + 6 + 7 bytes.
func used(failure *jobs.Failure) jobs.Outcome {
	cpu, text := 1.5, "display"
	return jobs.Outcome{
		Result: []byte("123"), Failure: failure, Stdout: "outs", Stderr: "error",
		Files:    []jobs.OutputFile{{Name: "a", Size: 4}, {Name: "b", Size: 2}},
		Displays: []jobs.Display{{Forms: []jobs.DisplayForm{{Type: "text/plain", Text: &text}}}},
		Usage:    jobs.Usage{RunMS: 2.25, CPUMS: &cpu},
	}
}

func TestUsageOfAnEndIsCountedOnce(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	inputs := &jobs.Inputs{Stdin: "in", Files: []jobs.File{{Path: "f", Content: []byte("file")}}}
	acme := createJob(t, s, func(j *jobs.Job) { j.Tenant, j.Inputs, j.IdempotencyKey = "acme", inputs, "k" })
	late := createJob(t, s, func(j *jobs.Job) { j.Tenant = "acme" })
	own := createJob(t, s)
	for range 3 { // a worker repeats an end whose reply was lost
		endJob(t, s, acme.ID, used(nil))
	}
	endJob(t, s, acme.ID, failed(jobs.CodeWorkerLost)) // the reaper, too late
	endJob(t, s, late.ID, used(&jobs.Failure{Code: jobs.CodeTimeout}))
	endJob(t, s, own.ID, failed(jobs.CodeCancelled)) // without any usage
	for range 2 {                                    // the reaper finalizes again
		if err := s.FinalizeJob(t.Context(), store.EndedJob{ID: acme.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.LLen(t.Context(), usageList).Val(); n != 3 {
		t.Fatalf("%d lines wait to be counted", n)
	}
	script := int64(len(acme.Script))
	want := []jobs.DayUsage{
		{
			Tenant: "acme", Jobs: map[string]int64{"ok": 1, "timeout": 1},
			CPU: 3 * time.Millisecond, Wall: 4500 * time.Microsecond, BytesIn: 2*script + 6, BytesOut: 2 * 25,
		},
		{Tenant: jobs.Operator, Jobs: map[string]int64{"cancelled": 1}, BytesIn: script},
	}
	for range 2 {
		countUsage(t, s)
		if diff := cmp.Diff(want, readUsage(t, s, "")); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(want[:1], readUsage(t, s, "acme")); diff != "" {
		t.Error(diff)
	}
	if rows := readUsage(t, s, "other"); len(rows) != 0 {
		t.Errorf("another tenant has %v", rows)
	}
	if load, err := s.ReadLoad(t.Context()); err != nil || load.Ended != 3 {
		t.Errorf("%d jobs count for the drain rate: %v", load.Ended, err)
	}
	today := time.Now().UTC().Format(jobs.DayFormat)
	if ttl := client.TTL(t.Context(), "cellblock:{usage}:acme:"+today).Val(); ttl < 92*24*time.Hour {
		t.Errorf("the sum is kept for %v", ttl)
	}
}

// Two reapers may count at the same time, as when the lease of one has expired.
// While nothing counts, the list keeps a million lines, the newest.
func TestUncountedUsageIsBounded(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	const thousand = 1000
	fill := client.Pipeline()
	for range thousand {
		fill.RPush(t.Context(), usageList, slices.Repeat([]any{"old"}, thousand)...)
	}
	if _, err := fill.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		endJob(t, s, createJob(t, s).ID, used(nil))
	}
	if n := client.LLen(t.Context(), usageList).Val(); n != 1_000_000 {
		t.Errorf("%d lines", n)
	}
	if newest := client.LIndex(t.Context(), usageList, -2).Val(); !strings.HasPrefix(newest, "operator ") {
		t.Errorf("the newest line but one is %q", newest)
	}
}

func TestConcurrentCountsCountOnce(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	const lines = 25_000
	pipeline := client.Pipeline()
	for i := range lines {
		pipeline.RPush(t.Context(), usageList, fmt.Sprintf("t%d 20000 1 ok 2 3 4", i%7))
	}
	pipeline.RPush(t.Context(), usageList, "damaged")
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	var counters sync.WaitGroup
	var observed [4]int
	for i := range observed {
		counters.Go(func() {
			counts, err := s.CountUsage(t.Context(), 100)
			if err != nil {
				t.Error(err)
			}
			for _, count := range counts {
				observed[i] += count.Jobs
			}
		})
	}
	counters.Wait()
	on := time.Unix(20000*24*60*60, 0).UTC()
	report, err := s.Usage(t.Context(), jobs.UsageQuery{From: on, To: on})
	if err != nil {
		t.Fatal(err)
	}
	var sum jobs.DayUsage
	for _, row := range report.Days {
		sum.Add(row)
	}
	want := jobs.DayUsage{
		Jobs: map[string]int64{"ok": lines}, CPU: lines * 2 * time.Microsecond, Wall: lines * 3 * time.Microsecond,
		BytesIn: lines, BytesOut: lines * 4,
	}
	if diff := cmp.Diff(want, sum); diff != "" || len(report.Days) != 7 {
		t.Errorf("%d rows\n%s", len(report.Days), diff)
	}
	if n := observed[0] + observed[1] + observed[2] + observed[3]; n != lines {
		t.Errorf("observed %d jobs", n)
	}
}

// The script computes dates, since Redis has no calendar.
func TestDaysOfUsageAreDates(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	days := []int{0, 58, 59, 60, 789, 11016, 11017, 11322, 11323, 19782, 19783, 47540, 47541, 47542}
	for d := 20_000; d < 22_000; d++ {
		days = append(days, d)
	}
	pipeline := client.Pipeline()
	for _, d := range days {
		pipeline.RPush(t.Context(), usageList, fmt.Sprintf("acme %d 1 ok 1 1 1", d))
	}
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	countUsage(t, s)
	for _, d := range days {
		date := time.Unix(int64(d)*24*60*60, 0).UTC().Format(jobs.DayFormat)
		if n := client.HGet(t.Context(), "cellblock:{usage}:acme:"+date, "jobs:ok").Val(); n != "1" {
			t.Errorf("%s has %q jobs", date, n)
		}
	}
	if score := client.ZScore(t.Context(), "cellblock:{usage}:_tenants", "acme").Val(); score != 47542 {
		t.Errorf("the tenant's last day is %v", score)
	}
}

// A sum that something else has damaged does not keep others from being counted.
func TestDamagedUsageIsPassedOver(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	today := strconv.FormatInt(time.Now().Unix()/86400, 10)
	date := time.Now().UTC().Format(jobs.DayFormat)
	client.Set(t.Context(), "cellblock:{usage}:bad:"+date, "x", 0)
	for _, tenant := range []string{"bad", "good"} {
		client.RPush(t.Context(), usageList, tenant+" "+today+" 1 ok 1 1 1")
	}
	countUsage(t, s)
	if rows := readUsage(t, s, "good"); len(rows) != 1 || rows[0].Jobs["ok"] != 1 {
		t.Errorf("%+v", rows)
	}
}

// Redis is out of memory: the counting frees some.
func TestUsageIsCountedWithoutMemory(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	endJob(t, s, createJob(t, s).ID, used(nil))
	client.ConfigSet(t.Context(), "maxmemory", "1")
	defer client.ConfigSet(t.Context(), "maxmemory", "0")
	countUsage(t, s)
	if rows := readUsage(t, s, jobs.Operator); len(rows) != 1 || rows[0].Jobs["ok"] != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestRangesOfUsageAreBounded(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	to := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	for from, want := range map[time.Time]jobs.Code{
		to: "", to.AddDate(0, 0, -91): "", to.AddDate(0, 0, -92): jobs.CodeInvalidRequest,
		to.AddDate(0, 0, 1): jobs.CodeInvalidRequest,
	} {
		if _, err := s.Usage(t.Context(), jobs.UsageQuery{From: from, To: to}); err == nil != (want == "") ||
			err != nil && jobs.CodeOf(err) != want {
			t.Errorf("from %v: %v", from, err)
		}
	}
	for i := range 400 {
		client.ZAdd(t.Context(), "cellblock:{usage}:_tenants", redis.Z{
			Score: float64(to.Unix() / 86400), Member: "t" + strconv.Itoa(i),
		})
	}
	query := jobs.UsageQuery{From: to.AddDate(0, 0, -91), To: to}
	if _, err := s.Usage(t.Context(), query); jobs.CodeOf(err) != jobs.CodeInvalidRequest {
		t.Errorf("400 tenants and 92 days: %v", err)
	}
	query.Tenant = "t1"
	if _, err := s.Usage(t.Context(), query); err != nil {
		t.Error(err)
	}
}
