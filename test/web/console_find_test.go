package web

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestConsoleFindsJobs(t *testing.T) {
	t.Parallel()
	admin := as(t, closed, operatorsToken)
	acme, beta := admin.withKey("finds-acme", "run", "read"), admin.withKey("finds-beta", "run", "read")
	good := acme.start(quick, fields{"labels": map[string]string{"customer": "42", "team": "search"}})
	bad := acme.start(failing, fields{"labels": map[string]string{"customer": "42"}})
	other := beta.start(quick, fields{"labels": map[string]string{"customer": "43"}})
	for _, id := range []string{good, bad, other} {
		admin.awaitEnd(id)
	}
	p := openConsole(t, admin, "#jobs&tenant=finds-acme", "Jobs", lightView)
	p.expect("status of 400")
	p.awaitJobs("Jobs", good, bad)
	p.do(chromedp.Click(chromedp.CSS("#filter-since")), chromedp.KeyEvent("00:00"+kb.Enter)) // of this day, here
	p.await(`location.hash.startsWith("#jobs&tenant=finds-acme&since=20")`)
	p.await(`document.activeElement.id === "filter-since"`)
	p.awaitJobs("Jobs", good, bad)
	p.do(chromedp.NavigateBack())
	p.await(`document.querySelector("#filter-since").value === ""`) // drawn again

	// Each choice and each field narrows the list, and the fragment has it.
	p.do(chromedp.SendKeys(chromedp.CSS("#filter-status"), "failed"))
	p.awaitJobs("Jobs", bad)
	p.await(`location.hash === "#jobs&status=failed&tenant=finds-acme"`)
	p.clickText("Clear the filters")
	p.await(`location.hash === "#jobs"`)
	p.enter("#filter-label", "customer:42 team:search")
	p.awaitJobs("Jobs", good)
	p.enter("#filter-label", "customer=43")
	p.await(`location.hash === "#jobs&label=customer%3A43"`)
	p.awaitJobs("Jobs", other)
	p.enter("#filter-tenant", "finds-acme")
	p.awaitJobs("Jobs")
	p.awaitText(".empty", "No job matches")
	p.enter("#filter-label", "")
	p.awaitJobs("Jobs", good, bad)
	p.do(chromedp.SendKeys(chromedp.CSS("#filter-code"), "exception"))
	p.awaitJobs("Jobs", bad)
	p.clickText("15 min")
	p.await(`location.hash.includes("since=15m")`)
	p.awaitJobs("Jobs", bad)
	p.enter("#filter-until", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	p.awaitText("[role=alert]", "since")
	p.enter("#filter-since", "2h")
	p.awaitJobs("Jobs")
	p.do(chromedp.NavigateBack())
	p.awaitText("[role=alert]", "since")
	p.do(chromedp.NavigateBack())
	p.awaitJobs("Jobs", bad)
}

func TestConsoleShowsWhatIsWrongWithFilters(t *testing.T) {
	t.Parallel()
	p := openConsole(t, as(t, open, ""), "#jobs&label=customer", "Jobs", lightView)
	p.expect("status of 400")
	p.awaitText("[role=alert]", "label")
	p.checkAccessibility()
	p.enter("#filter-label", "")
	p.await(`location.hash === "#jobs"`)
	p.enter("#filter-since", "yesterday")
	p.awaitText("[role=alert]", "since")
}

func TestConsoleOpensAJobByItsID(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	id := c.start("def main():\n    print('found')\n", nil)
	c.awaitEnd(id)
	p := openConsole(t, c, "", "Overview", lightView)
	p.enter("#job-id", "not an id")
	p.awaitText("#job-id-error", "looks like")
	p.enter("#job-id", `{"job_id":"`+id+`"}`)
	p.awaitText("h1", id)
	p.awaitText(".job", "found")
	p.checkAccessibility()
	p.clickText("Back to the overview")
	p.awaitText("h1", "Overview")

	p.expect("status of 404")
	p.enter("#job-id", "01981f3e-7c1a-7000-8000-000000000001")
	p.awaitText("[role=alert]", "there is no such job, or it has expired")
	hostile := `<img src=x onerror=document.title=1>` + "\u202e"
	p.do(chromedp.Navigate(open.URL + "/console#job=" + hostile))
	p.await(`document.querySelector("h1 .symbol")?.title === "U+202E right-to-left override"`)
	p.awaitText("h1", "<img src=x onerror=document.title=1>")
}

func TestConsoleShowsAListByPages(t *testing.T) {
	t.Parallel()
	admin := as(t, closed, operatorsToken)
	many := admin.withKey("pages-acme", "run", "read")
	labels := make([]map[string]string, 120)
	many.batch(quick, labels...)
	p := openConsole(t, many, "#jobs", "Jobs", lightView)
	rows := `document.querySelectorAll('section[aria-label="Jobs, list"] tbody tr').length`
	p.await(rows + " === 50")
	first := p.listed("Jobs")
	p.clickText("Next page")
	p.await(`location.hash.includes("cursor=")`)
	p.await(rows + ` === 50 && !document.body.textContent.includes(` + quote(first[0]) + `)`)
	p.clickText("Next page")
	p.await(rows + " === 20")
	p.awaitText(".pages", "the last of the list")
	p.clickText("First page")
	p.awaitJobs("Jobs", first...)
}
