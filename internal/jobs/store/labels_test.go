package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// labelsKey is the key of the index of labels.
const labelsKey = "cellblock:{index}:labels"

// labelled returns a change of createJob's job: its tenant and its labels, in pairs.
func labelled(tenant jobs.Tenant, pairs ...string) func(*jobs.Job) {
	return func(j *jobs.Job) {
		j.Tenant, j.Labels = tenant, map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			j.Labels[pairs[i]] = pairs[i+1]
		}
	}
}

// list returns the ids of a query's jobs, page by page, and the number of pages.
func list(t *testing.T, s *store.Store, query jobs.ListQuery) (ids []string, pages int) {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 50
	}
	caller := operator
	if query.Tenant != "" {
		caller = jobs.Caller{Tenant: query.Tenant}
	}
	for pages = 1; ; pages++ {
		page, err := s.List(t.Context(), caller, query)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range page.Jobs {
			ids = append(ids, record.ID)
		}
		if query.Before = page.Next; page.Next == "" {
			return ids, pages
		}
	}
}

func TestLabelsTravelInTheRecord(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	messages := subscribe(t, client)
	for _, labels := range []map[string]string{nil, {}, {"a": ""}, {"b": "2", "example.com/a": "x_.-Y"}} {
		job := createJob(t, s, func(j *jobs.Job) { j.Labels = labels })
		var want map[string]string
		if len(labels) > 0 {
			want = labels
		}
		endJob(t, s, job.ID, succeeded("1"))
		_, published := store.ParseEnd(messages())
		described, err := s.Describe(t.Context(), operator, job.ID, time.Second)
		if err != nil || published == nil {
			t.Fatal(published, err)
		}
		for name, got := range map[string]jobs.Record{
			"read": getRecord(t, s, job.ID), "described": described, "published": *published,
		} {
			if diff := cmp.Diff(want, got.Labels); diff != "" {
				t.Errorf("%v, %s: %s", labels, name, diff)
			}
		}
	}
}

// A replica of an earlier version reads the published end of a job without labels, and this one that of an earlier
// worker.
func TestThePublishedEndIsCompatible(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	messages := subscribe(t, client)
	endJob(t, s, createJob(t, s).ID, succeeded("1"))
	header, _, _ := strings.Cut(messages(), "\n")
	if n := len(strings.Split(header, " ")); n != 9 {
		t.Errorf("%q has %d fields", header, n)
	}
	endJob(t, s, createJob(t, s, labelled(jobs.Operator, "a", "b", "c", "")).ID, succeeded("1"))
	header, _, _ = strings.Cut(messages(), "\n")
	if fields := strings.Split(header, " "); len(fields) != 11 || fields[10] != `{"a":"b","c":""}` {
		t.Errorf("%q", header)
	}
	for _, earlier := range []string{
		"id succeeded 1 2 3 2 1", "id succeeded 1 2 3 2 1  ", "id succeeded 1 2 3 2 1   acme",
	} {
		if _, record := store.ParseEnd(earlier + "\n{}1"); record == nil || record.Labels != nil {
			t.Errorf("%q: %+v", earlier, record)
		}
	}
}

func TestListByLabels(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	const acme, other = jobs.Tenant("acme"), jobs.Tenant("other")
	all := map[string]string{}
	for name, change := range map[string]func(*jobs.Job){
		"42": labelled(acme, "customer", "42"), "42 nightly": labelled(acme, "customer", "42", "run", "nightly"),
		"43": labelled(acme, "customer", "43", "run", "nightly"), "empty": labelled(acme, "customer", ""),
		"swapped": labelled(acme, "42", "customer"), "none": labelled(acme),
		"of another": labelled(other, "customer", "42"), "of the operator": labelled(jobs.Operator, "customer", "42"),
	} {
		all[createJob(t, s, change).ID] = name
	}
	for _, c := range []struct {
		tenant jobs.Tenant
		labels map[string]string
		want   []string
	}{
		{acme, map[string]string{"customer": "42"}, []string{"42", "42 nightly"}},
		{acme, map[string]string{"customer": "42", "run": "nightly"}, []string{"42 nightly"}},
		{acme, map[string]string{"run": "nightly"}, []string{"42 nightly", "43"}},
		{acme, map[string]string{"customer": ""}, []string{"empty"}},
		{acme, map[string]string{"customer": "4"}, nil},
		{acme, map[string]string{"customer": "42", "run": "daily"}, nil},
		{other, map[string]string{"customer": "42"}, []string{"of another"}},
		{other, map[string]string{"run": "nightly"}, nil},
		{jobs.Operator, map[string]string{"customer": "42"}, []string{"of the operator"}},
		{"", map[string]string{"customer": "42"}, []string{"42", "42 nightly", "of another", "of the operator"}},
		{other, nil, []string{"of another"}},
	} {
		ids, _ := list(t, s, jobs.ListQuery{Tenant: c.tenant, Labels: c.labels})
		var got []string
		for _, id := range ids {
			got = append(got, all[id])
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %v: got %v, want %v", c.tenant, c.labels, got, c.want)
		}
	}
}

// An index that has another tenant's job under a label, by whatever fault, shows it to none.
func TestTheRecordDecidesWhoseALabelIs(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	mine := createJob(t, s, labelled("acme", "a", "b"))
	theirs := createJob(t, s, labelled("other", "a", "b"))
	for _, member := range client.ZRange(t.Context(), labelsKey, 0, -1).Val() {
		hash, _, _ := strings.Cut(member, " ")
		for _, id := range []string{mine.ID, theirs.ID} {
			client.ZAdd(t.Context(), labelsKey, redis.Z{Member: hash + " " + id})
		}
	}
	if ids, _ := list(t, s, jobs.ListQuery{
		Tenant: "acme", Labels: map[string]string{"a": "b"},
	}); !slices.Equal(ids, []string{mine.ID}) {
		t.Errorf("got %v", ids)
	}
}

func TestListByPages(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var want []string
	for i := range 25 {
		id := createJob(t, s, labelled("acme", "a", "b", "n", fmt.Sprint(i%2))).ID
		if i%2 == 0 {
			want = append(want, id)
		}
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 4, 13, 50} {
		ids, _ := list(t, s, jobs.ListQuery{
			Tenant: "acme", Labels: map[string]string{"a": "b", "n": "0"}, Limit: limit,
		})
		if !slices.Equal(ids, want) {
			t.Errorf("pages of %d: got %d jobs, %v", limit, len(ids), ids)
		}
	}
}

func TestListByCodeAndEnvironment(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	science := func(j *jobs.Job) { j.Environment = "science" }
	timedOut, other, fine := createJob(t, s, science), createJob(t, s), createJob(t, s, science)
	waiting := createJob(t, s)
	endJob(t, s, timedOut.ID, failed(jobs.CodeTimeout))
	endJob(t, s, other.ID, failed(jobs.CodeTimeout))
	endJob(t, s, fine.ID, succeeded("1"))
	for _, c := range []struct {
		query jobs.ListQuery
		want  []string
	}{
		{jobs.ListQuery{Code: jobs.CodeTimeout}, []string{other.ID, timedOut.ID}},
		{jobs.ListQuery{Code: jobs.CodeKilled}, nil},
		{jobs.ListQuery{Environment: "science"}, []string{fine.ID, timedOut.ID}},
		{jobs.ListQuery{Environment: jobs.DefaultEnvironment}, []string{waiting.ID, other.ID}},
		{jobs.ListQuery{Environment: "science", Code: jobs.CodeTimeout}, []string{timedOut.ID}},
		{jobs.ListQuery{State: jobs.StateSucceeded, Code: jobs.CodeTimeout}, nil},
	} {
		if ids, _ := list(t, s, c.query); !slices.Equal(ids, c.want) {
			t.Errorf("%+v: got %v, want %v", c.query, ids, c.want)
		}
	}
	page, err := s.List(t.Context(), operator, jobs.ListQuery{Code: jobs.CodeTimeout, Limit: 2})
	if err != nil || len(page.Jobs) != 2 || page.Jobs[1].Code != jobs.CodeTimeout ||
		page.Jobs[1].Environment != "science" {
		t.Errorf("got %+v, %v", page, err)
	}
}

// The bounds are those of created_at as clients see it, whatever the clock of the process that made the ids.
func TestListByTime(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var ids []string
	var times []time.Time
	for range 3 {
		job := createJob(t, s, labelled("acme", "a", "b"))
		at := getRecord(t, s, job.ID).CreatedAt.Truncate(time.Millisecond)
		ids, times = append(ids, job.ID), append(times, at)
		for !time.Now().After(at.Add(2 * time.Millisecond)) {
			time.Sleep(time.Millisecond) // the next one is in another millisecond
		}
	}
	for _, labels := range []map[string]string{nil, {"a": "b"}} {
		for _, c := range []struct {
			since, until time.Time
			want         []string
		}{
			{times[1], time.Time{}, []string{ids[2], ids[1]}},
			{time.Time{}, times[1], []string{ids[0]}},
			{times[0], times[2], []string{ids[1], ids[0]}},
			{times[1].Add(time.Millisecond), times[2], nil},
			{times[2].Add(time.Hour), time.Time{}, nil},
			{time.Time{}, times[0].Add(-time.Hour), nil},
			{time.Unix(-1, 0), time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), []string{ids[2], ids[1], ids[0]}},
		} {
			for limit := 1; limit < 3; limit++ {
				query := jobs.ListQuery{Tenant: "acme", Labels: labels, Since: c.since, Until: c.until, Limit: limit}
				if got, _ := list(t, s, query); !slices.Equal(got, c.want) {
					t.Errorf("%+v: got %v, want %v", query, got, c.want)
				}
			}
		}
	}
}

// The index holds no more than the labels of the records: what expires is swept.
func TestLabelsAreSwept(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	kept := createJob(t, s, labelled("acme", "a", "b", "c", "d"))
	for i := range 7 {
		job := createJob(t, s, labelled("acme", "a", "b", "n", fmt.Sprint(i)))
		client.Del(t.Context(), jobKey(job.ID))
	}
	if n, err := s.IndexedLabels(t.Context()); n != 16 || err != nil {
		t.Fatal(n, err)
	}
	removed, cursor, passes := 0, "", 0
	for ; passes == 0 || cursor != ""; passes++ {
		n, next, err := s.SweepLabels(t.Context(), cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		removed, cursor = removed+n, next
	}
	if n, _ := s.IndexedLabels(t.Context()); n != 2 || removed != 14 || passes != 6 {
		t.Errorf("%d are left and %d removed, in %d passes", n, removed, passes)
	}
	if ids, _ := list(t, s, jobs.ListQuery{
		Tenant: "acme", Labels: map[string]string{"c": "d"},
	}); !slices.Equal(ids, []string{kept.ID}) {
		t.Errorf("got %v", ids)
	}
}

// What a query with two labels costs follows the rarer one: its one job is on the first page, behind more jobs of the
// other than one page scans.
func TestTheRarestLabelIsWalked(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	rare := createJob(t, s, labelled("acme", "a", "b", "rare", "yes"))
	for range 1100 {
		createJob(t, s, labelled("acme", "a", "b"))
	}
	ids, pages := list(t, s, jobs.ListQuery{Tenant: "acme", Labels: map[string]string{"a": "b", "rare": "yes"}})
	if pages != 1 || !slices.Equal(ids, []string{rare.ID}) {
		t.Errorf("got %v in %d pages", ids, pages)
	}
	ids, pages = list(t, s, jobs.ListQuery{Tenant: "acme", Labels: map[string]string{"a": "b"}, Code: jobs.CodeExit})
	if pages != 2 || ids != nil {
		t.Errorf("got %v in %d pages", ids, pages)
	}
}

// A job without labels costs no command for them, and one with any number of labels one.
func TestLabelsCostOneCommand(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	cost := func(change func(*jobs.Job)) int {
		client.ConfigResetStat(t.Context())
		job := createJob(t, s, change)
		claimStart(t, s, job.ID, "a")
		endJob(t, s, job.ID, succeeded("1"))
		total := 0
		for _, line := range client.InfoMap(t.Context(), "commandstats").Val()["Commandstats"] {
			var calls int
			if _, err := fmt.Sscanf(line, "calls=%d,", &calls); err != nil {
				t.Fatal(line, err)
			}
			total += calls
		}
		return total
	}
	cost(labelled("acme", "a", "b")) // loads the scripts
	none, one := cost(labelled("acme")), cost(labelled("acme", "a", "b"))
	many := cost(labelled("acme", "a", "b", "c", "d", "e", "f", "g", "h"))
	if one != none+1 || many != one {
		t.Errorf("%d commands without labels, %d with one, %d with four", none, one, many)
	}
	if n := client.ZCard(t.Context(), labelsKey).Val(); n != 6 {
		t.Errorf("%d entries", n)
	}
}
