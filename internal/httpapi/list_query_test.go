package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

// listedBy returns the query that GET /jobs asks the service for, with times back from now as durations.
func listedBy(t *testing.T, parameters string) (jobs.ListQuery, reply) {
	t.Helper()
	var seen jobs.ListQuery
	url := serve(t, newHandler(t, stubJobs{list: func(_ context.Context, query jobs.ListQuery) (jobs.Page, error) {
		seen = query
		return jobs.Page{}, nil
	}}))
	got := send(t, http.MethodGet, url+"/jobs?"+parameters, "")
	return seen, got
}

func TestListQuery(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for parameters, want := range map[string]jobs.ListQuery{
		"":                      {},
		"code=timeout":          {Code: jobs.CodeTimeout},
		"environment=default":   {Environment: "default"},
		"label=customer:42":     {Labels: map[string]string{"customer": "42"}},
		"label=customer%3A42":   {Labels: map[string]string{"customer": "42"}},
		"label=a:b&label=c:":    {Labels: map[string]string{"a": "b", "c": ""}},
		"label=a:b&label=a:b":   {Labels: map[string]string{"a": "b"}},
		"label=example.com/a:b": {Labels: map[string]string{"example.com/a": "b"}},
		"since=2026-01-02T03:04:05.006Z&until=2026-01-02T05:04:05.007%2B02:00": {
			Since: at, Until: at.Add(time.Millisecond),
		},
		"status=failed&limit=7&cursor=" + jobID: {State: jobs.StateFailed, Before: jobID, Limit: 7},
	} {
		got, response := listedBy(t, parameters)
		if want.Limit == 0 {
			want.Limit = 50
		}
		if diff := cmp.Diff(want, got); diff != "" || response.status != http.StatusOK {
			t.Errorf("%s: %d %s\n%s", parameters, response.status, response.body, diff)
		}
	}
	got, _ := listedBy(t, "since=1h30m&until=5s")
	for name, ago := range map[string][2]time.Duration{
		"since": {time.Since(got.Since), 90 * time.Minute}, "until": {time.Since(got.Until), 5 * time.Second},
	} {
		if ago[0] < ago[1] || ago[0] > ago[1]+time.Minute {
			t.Errorf("%s is %s ago, not %s", name, ago[0], ago[1])
		}
	}
}

func TestListQueryRefusesByName(t *testing.T) {
	t.Parallel()
	var many []string
	for _, c := range "abcdefghijklmnopq" {
		many = append(many, "label="+string(c)+":x")
	}
	for parameters, want := range map[string]string{
		"code=":                           `"code" must be one with which jobs end: missing_main, `,
		"code=ok":                         `use status=succeeded`,
		"code=queue_full":                 `"code" must be one with which jobs end`,
		"environment=A":                   `"environment" must be the name of an environment`,
		"label=":                          `"label" must be a key and a value with a colon between them`,
		"label=customer":                  `"label" must be a key and a value with a colon between them`,
		"label=a:b&label=a:c":             `"label" has two values of "a"`,
		"label=a b:c":                     `"label": the key "a b" must have a name`,
		strings.Join(many, "&"):           `"label" is given for more than 16 keys`,
		"since=yesterday":                 `"since" must be a time such as 2026-01-02T03:04:05Z`,
		"since=-1h":                       `"since" must be a time`,
		"until=2026-01-02":                `"until" must be a time`,
		"since=2026-01-02T03:04:05+01:00": `send the + of an offset as %2B`,
		"since=1h&until=2h":               `"since" must be before "until"`,
		"code=exit&code=exit":             `the query parameter "code" is given twice`,
	} {
		_, got := listedBy(t, strings.ReplaceAll(parameters, " ", "%20"))
		wantResponse(t, got, http.StatusBadRequest, jobs.CodeInvalidRequest)
		if sentence, _ := decode(t, got.body)["error"].(string); !strings.Contains(sentence, want) {
			t.Errorf("%s: got %s, want %s", parameters, sentence, want)
		}
	}
}

// TestListedCodesAreTheContracts compares the document's list with the codes of jobs.
func TestListedCodesAreTheContracts(t *testing.T) {
	t.Parallel()
	parameter := loadContract(t).doc.Paths.Value("/jobs").Get.Parameters.GetByInAndName("query", "code")
	var documented, codes []string
	for _, code := range parameter.Schema.Value.Enum {
		documented = append(documented, code.(string))
	}
	for _, code := range jobs.OutcomeCodes() {
		codes = append(codes, string(code))
	}
	if diff := cmp.Diff(codes, documented); diff != "" {
		t.Error(diff)
	}
}

// TestJobsShowTheirLabels in each form of a response, as the contract has them.
func TestJobsShowTheirLabels(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	fine, broken := succeeded("1"), succeeded("1")
	broken.State = jobs.StateFailed
	broken.Outcome = &jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException, Message: "x"}}
	for _, record := range []*jobs.Record{&fine, &broken} {
		record.Labels = map[string]string{"customer": "42", "example.com/run": ""}
		service := stubExecute(*record, nil)
		service.get = stubGet(*record, nil).get
		h := newHandler(t, service)
		url := serve(t, h)
		const script = `{"script":"def main(): pass"}`
		got := send(t, http.MethodGet, url+"/jobs/"+jobID, "")
		c.check(t, http.MethodGet, url+"/jobs/"+jobID, "", got, true)
		posted := send(t, http.MethodPost, url+"/execute", script, "Content-Type", "application/json")
		c.check(t, http.MethodPost, url+"/execute", script, posted, true, "Content-Type", "application/json")
		message, err := h.WebhookMessage(t.Context(), *record)
		if err != nil {
			t.Fatal(err)
		}
		for name, body := range map[string]string{"GET": got.body, "POST": posted.body, "webhook": string(message)} {
			if strings.Count(body, `"labels":{"customer":"42","example.com/run":""}`) != 1 {
				t.Errorf("%s, %s: %s", record.State, name, body)
			}
		}
	}
	url := serve(t, newHandler(t, stubGet(succeeded("1"), nil)))
	if got := send(t, http.MethodGet, url+"/jobs/"+jobID, ""); strings.Contains(got.body, "labels") {
		t.Errorf("without labels: %s", got.body)
	}
}
