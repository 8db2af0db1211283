package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestConsoleFollowsAJob(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	id := c.start(`
import os, sys, time
def main():
    for line in range(12):
        print("line", line, flush=True)
        time.sleep(0.7)
    print("to stderr", file=sys.stderr)
    return "the end"
`, fields{"labels": map[string]string{"kind": "follow"}, "limits": map[string]any{"memory_mb": 123}})
	p := openConsole(t, c, "#job="+id, id, lightView)
	p.awaitText("main .heading .state", "running")
	p.awaitText(".job", "line 0")
	p.awaitText(".job", "line 1")
	if strings.Contains(p.text(), "the end") {
		t.Error("the output came with the end of the job only")
	}
	p.awaitText("main .heading .state", "succeeded")
	p.awaitText(".job", "the end")
	p.awaitText(".job", "line 11")
	p.awaitText(".job", "to stderr")
	p.awaitText(".pairs", "15 s wall · 10 s CPU · 123 MiB · 64 processes · 1 MiB output")
	p.checkAccessibility()
	p.clickText("kind:follow")
	p.awaitJobs("Jobs", id)
	p.click("tbody a.id")
	p.awaitText("h1", id)
	p.clickText("Back to the list")
	p.awaitJobs("Jobs", id)
}

func TestConsoleCancelsAJob(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	id := c.startLasting(nil)
	p := openConsole(t, c, "#job="+id, id, lightView)
	p.awaitText(".job", "at work")
	p.clickText("Cancel the job …")
	p.await(`document.activeElement.textContent === "Yes, cancel the job"`)
	p.checkAccessibility()
	p.do(chromedp.KeyEvent(kb.Escape))
	p.await(`document.activeElement.textContent === "Cancel the job …"`)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(`document.activeElement.textContent === "Yes, cancel the job"`)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.awaitText("main .heading .state", "cancelled")
	p.awaitText(".job", "at work")
	var job struct {
		Status string `json:"status"`
		Code   string `json:"code"`
	}
	c.call(http.MethodGet, "/jobs/"+id, nil, http.StatusOK, &job)
	if job.Status != "cancelled" || job.Code != "cancelled" {
		t.Errorf("the job is %+v", job)
	}
}

func TestConsoleShowsTheDeliveryOfAWebhook(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
	}))
	defer receiver.Close()
	id := c.start(quick, fields{"callback_url": receiver.URL + "/taken"})
	p := openConsole(t, c, "#job="+id, id, lightView)
	p.awaitText(".pairs", "Webhookdelivered")
	p.awaitText(".job .details", receiver.URL+"/taken")
	p.awaitText(".job .details", "response200")
	id = c.start(quick, fields{"callback_url": receiver.URL + "/gone"})
	p.enter("#job-id", id)
	p.awaitText(".pairs", "Webhookfailed permanently")
	p.awaitText(".job .details", receiver.URL+"/gone")
	p.awaitText(".job .details", "response410")
	p.checkAccessibility()
}
