package web

import (
	"net/http"
	"testing"
)

func TestConsoleAsksForAToken(t *testing.T) {
	t.Parallel()
	p := visit(t, closed.URL, "/console", lightView)
	p.expect("status of 401")
	p.awaitText("[role=alert]", "This service asks for a token")
	p.await(`document.activeElement.id === "token"`)
	p.checkAccessibility()
	p.enterToken("wrong")
	p.awaitText("[role=alert]", "The service refused this token")
	p.enterToken("wrong")
	p.awaitText("[role=alert]", "The service refused this token")
	p.enterToken(operatorsToken)
	p.awaitText("h1", "Overview")
	p.awaitText(".heading", "of all tenants")
	kept := eval[string](p, "location.href + document.cookie + JSON.stringify(localStorage)")
	if kept != closed.URL+"/console{}" {
		t.Errorf("the token is kept elsewhere: %q", kept)
	}
	p.clickText("Forget token")
	p.awaitText("[role=alert]", "This service asks for a token")
}

func TestConsoleOfATenant(t *testing.T) {
	t.Parallel()
	admin := as(t, closed, operatorsToken)
	acme, beta := admin.withKey("own-acme", "run", "read"), admin.withKey("own-beta", "run", "read")
	own, foreign := acme.start(quick, nil), beta.start(quick, nil)
	admin.awaitEnd(own)
	admin.awaitEnd(foreign)

	p := openConsole(t, admin.withKey("own-acme", "read"), "", "Overview", lightView)
	p.awaitText(".heading", "of the tenant of this key")
	p.awaitTile("Ended in the last hour", "1")
	p.awaitText(`section[aria-label="Environments, list"]`, "default")
	p.await(`document.querySelector('section[aria-label="Workers, list"]') === null`)
	p.checkAccessibility()
	p.clickText("Jobs")
	p.awaitJobs("Jobs", own)
	p.await(`document.querySelector("#filter-tenant") === null`)
	p.expect("status of 404")
	p.enter("#job-id", foreign)
	p.awaitText("[role=alert]", "there is no such job, or it has expired")

	// The key may not cancel.
	running := acme.start(lasting, nil)
	p.enter("#job-id", running)
	p.clickText("Cancel the job …")
	p.clickText("Yes, cancel the job")
	p.awaitText(".cancel [role=alert]", `does not have the scope "cancel"`)
	admin.call(http.MethodDelete, "/jobs/"+running, nil, http.StatusAccepted, &struct{}{})
	p.awaitText("main .heading .state", "cancelled")
}

func TestConsoleRefusesAKeyThatMayNotRead(t *testing.T) {
	t.Parallel()
	key := as(t, closed, operatorsToken).withKey("run-only", "run")
	p := openConsole(t, key, "", "This key may not read jobs", lightView)
	p.awaitText("[role=alert]", `does not have the scope "read"`)
	p.checkAccessibility()
	p.clickText("Use another token")
	p.awaitText("[role=alert]", "This service asks for a token")
}

func TestConsoleListsStayInPlace(t *testing.T) {
	t.Parallel()
	admin := as(t, closed, operatorsToken)
	c := admin.withKey("steady-acme", "run", "read")
	first := c.start(quick, nil)
	c.awaitEnd(first)
	p := openConsole(t, c, "#jobs", "Jobs", lightView)
	p.awaitJobs("Jobs", first)
	eval[bool](p, `(document.querySelector("tbody a.id").focus(), true)`)
	second := c.start(quick, nil)
	p.awaitText(".note", "Show 1 new job")
	p.awaitJobs("Jobs", first)
	p.await(`document.activeElement === document.querySelector("tbody a.id")`)
	p.checkAccessibility()
	p.clickText("Show 1 new job")
	p.awaitJobs("Jobs", first, second)
	p.await(`document.activeElement.getAttribute("aria-label") === "Jobs, list"`)
	third := c.start(quick, nil)
	p.awaitText(".note", "Show 1 new job")
	p.awaitJobs("Jobs", first, second)
	eval[bool](p, `(document.activeElement.blur(), true)`)
	p.awaitJobs("Jobs", first, second, third)
}
