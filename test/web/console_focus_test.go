package web

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Ages of a job that is opened by its link are right although this machine's clock is wrong.
func TestConsoleWithAWrongClock(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	id := c.startLasting(nil)
	c.awaitRunning(id)
	p := openConsole(t, c, "#jobs", "Jobs", lightView)
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		early := page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `{ const own = Date.now; Date.now = () => own() + 7_200_000; }`,
		}
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, early)
		return err
	}), chromedp.Navigate("about:blank"), chromedp.Navigate(c.origin+"/console#job="+id))
	p.awaitText(".pairs", "Runs for")
	p.await(`/Runs for\d+ s\D/.test(document.querySelector(".pairs").textContent)`)
}

// A cancellation does not lose the focus, but for the moment between two elements.
func TestConsoleKeepsTheFocus(t *testing.T) {
	t.Parallel()
	c := as(t, open, "")
	id := c.startLasting(nil)
	c.awaitRunning(id)
	p := openConsole(t, c, "#job="+id, id, lightView)
	p.clickText("Cancel the job …")
	p.await(`document.activeElement.textContent === "Yes, cancel the job"`)
	p.do(chromedp.Evaluate[chromedp.Void](`{ window.lost = 0; window.watcher = setInterval(() => {
		if (document.activeElement === document.body) window.lost++;
	}, 5) }`), chromedp.KeyEvent(kb.Enter))
	p.awaitText("main .heading .state", "cancelled")
	p.await(`!document.querySelector(".cancel")`)
	p.await(`document.activeElement === document.querySelector("h1")`)
	if lost := eval[int](p, `window.lost`); lost > 40 {
		t.Errorf("nothing had the focus %d times", lost)
	}
}
