package web

import "testing"

// runJob submits a job, waits for its end, and returns its id.
func runJob(t *testing.T, script string, more fields) string {
	t.Helper()
	c := as(t, open, "")
	id := c.start(script, more)
	c.awaitEnd(id)
	return id
}

// showJob runs a job, and opens the console with it.
func showJob(t *testing.T, look view, script string, more fields) *tab {
	t.Helper()
	p := visit(t, open.URL, "/console", look)
	p.openJob(runJob(t, script, more))
	return p
}

// openJob shows a job that has ended in the console.
func (p *tab) openJob(id string) {
	p.t.Helper()
	eval[bool](p, "(location.hash = "+quote("#job="+id)+", true)")
	p.awaitText("h1", id)
	p.await("document.querySelector('.job .usage')")
}
