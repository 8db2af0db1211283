package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestEntriesEverywhere reads the same cell as a form, from a batch, from the events and by its id.
func TestEntriesEverywhere(t *testing.T) {
	t.Parallel()
	const script = "display({'n': 3})\n'é'"
	base := defaultStack().URL
	posted := form(t, base, []part{{name: "script", content: script}, {name: "entry", content: "cell"}})
	b := postBatch(t, base, `{"script": "display({'n': 3})\n'é'", "entry": "cell"}`+"\n"+
		`{"script": "x", "entry": "cell", "args": {}}`+"\n"+`{"script": "x", "entry": "script", "args": ["a"]}`)
	if b.Members[0].JobID == "" || b.Members[1].Code != "invalid_request" || b.Members[2].JobID == "" {
		t.Fatalf("the batch is %+v", b)
	}
	results := curl(t, "", base+"/batches/"+b.BatchID+"/results")
	first, _, _ := strings.Cut(strings.SplitAfter(results, `{"index":0,`)[1], "\n")
	var l line
	if err := json.Unmarshal([]byte("{"+first), &l); err != nil {
		t.Fatal(err)
	}
	for where, a := range map[string]answer{
		"a form": posted, "by its id": read(t, base, posted.JobID, ""), "a batch": *l.Job,
		"the events": watch(t, base, posted.JobID, "").end,
	} {
		if a.Entry != "cell" || string(a.Result) != `"é"` || len(a.Displays) != 2 ||
			*a.Displays[0].Forms[0].Text != "{'n': 3}" || *a.Displays[1].Forms[0].Text != "'é'" {
			t.Errorf("%s: entry %q, result %s, displays %+v", where, a.Entry, a.Result, a.Displays)
		}
	}
}

// An Idempotency-Key is for one entry.
func TestEntryIsPartOfTheKey(t *testing.T) {
	t.Parallel()
	base, key := defaultStack().URL, http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {t.Name()}}
	post := func(body string) answer {
		return call(t, base, request{Path: "/execute", Header: key, Body: []byte(body)})
	}
	first := post(`{"script":"def main():\n    return 1"}`)
	same := post(`{"script":"def main():\n    return 1","entry":"main"}`)
	other := post(`{"script":"def main():\n    return 1","entry":"script"}`)
	if first.JobID == "" || same.JobID != first.JobID || other.Code != "idempotency_mismatch" {
		t.Errorf("%s, %s, %s", first.JobID, same.JobID, other.Code)
	}
}

// TestLargeDisplays fills every bound: what is left out is listed, and the rest is read as it was shown.
func TestLargeDisplays(t *testing.T) {
	t.Parallel()
	a := executeWith(t, defaultStack().URL, `
class Html:
    def __init__(self, size): self.size = size
    def _repr_html_(self): return "é" * (self.size // 2)
    def __repr__(self): return f"<{self.size}>"
display(Html(256 << 10), Html((256 << 10) + 2))
for n in range(70):
    display(Html(64 << 10))
`, map[string]any{"entry": "cell"})
	text := 0
	for _, display := range a.Displays {
		for _, form := range display.Forms {
			if form.Text != nil {
				text += len(*form.Text)
			}
		}
	}
	if a.HTTPStatus != http.StatusOK || text > 1<<20 || len(a.Displays) > 64 ||
		len(*a.Displays[0].Forms[0].Text) != 256<<10 {
		t.Errorf("%d: %d displays with %d bytes: %s", a.HTTPStatus, len(a.Displays), text, a.Error)
	}
	omitted := fmt.Sprint(a.DisplaysOmitted)
	if len(a.DisplaysOmitted) == 0 || a.DisplaysOmitted[0].Display != 2 || *a.DisplaysOmitted[0].Bytes != 256<<10+2 ||
		!strings.Contains(omitted, "display_bytes") || !strings.Contains(omitted, "displays}") {
		t.Errorf("omitted: %.500s", omitted)
	}
	again := read(t, defaultStack().URL, a.JobID, "")
	if len(again.Displays) != len(a.Displays) || len(again.DisplaysOmitted) != len(a.DisplaysOmitted) {
		t.Errorf("read again: %d displays", len(again.Displays))
	}
}
