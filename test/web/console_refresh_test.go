package web

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// requestLog notes the requests of a page.
type requestLog struct {
	mu    sync.Mutex
	paths []string
}

// logRequests notes the requests of a tab from now on.
func (p *tab) logRequests() *requestLog {
	p.t.Helper()
	log := &requestLog{}
	err := chromedp.Listen(p.ctx, func(event any) {
		if sent, ok := event.(*network.EventRequestWillBeSent); ok {
			if address, err := url.Parse(sent.Request.URL); err == nil {
				log.mu.Lock()
				defer log.mu.Unlock()
				log.paths = append(log.paths, address.Path)
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return log
}

// count returns the number of requests of a path since the last call of clear; of all with the path "".
func (l *requestLog) count(path string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, each := range l.paths {
		if path == "" || each == path {
			n++
		}
	}
	return n
}

func (l *requestLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = nil
}

// setHidden makes the page believe that its tab is hidden, or shown again: without windows, Chromium shows all tabs.
func (p *tab) setHidden(hidden bool) {
	p.t.Helper()
	state := map[bool]string{true: "hidden", false: "visible"}[hidden]
	eval[bool](p, `(() => {
		Object.defineProperty(document, "visibilityState", { value: `+quote(state)+`, configurable: true });
		return document.dispatchEvent(new Event("visibilitychange"));
	})()`)
}

func TestConsoleRestsWhileItIsHidden(t *testing.T) {
	t.Parallel()
	p := openConsole(t, as(t, open, ""), "", "Overview", lightView)
	log := p.logRequests()
	for deadline := time.Now().Add(bound); log.count("/activity") < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("the numbers are not refreshed: %q", log.paths)
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.setHidden(true)
	// Responses of requests in progress may still come.
	p.await(`performance.now() > (window.hiddenAt ??= performance.now()) + 1000`)
	log.clear()
	p.await(`performance.now() > hiddenAt + 8000`) // four times the pause
	if n := log.count(""); n != 0 {
		t.Errorf("%d requests while the page was hidden: %q", n, log.paths)
	}
	log.clear()
	shown := time.Now()
	p.setHidden(false)
	for log.count("/activity") == 0 || log.count("/workers") == 0 || log.count("/jobs") == 0 {
		if time.Since(shown) > 1500*time.Millisecond {
			t.Fatalf("not at once: %q", log.paths)
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.awaitText(".freshness", "updated 0 s ago")
}

func TestConsoleGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	p := openConsole(t, as(t, open, ""), "", "Overview", lightView)
	p.expect("ERR_")
	p.awaitText(".freshness", "updated")
	p.setOffline(true)
	p.awaitText(".freshness.stale", "Out of date. The service does not answer.")
	p.setOffline(false)
	p.clickText("Try now")
	p.await(`document.querySelector(".freshness.stale") === null || document.querySelectorAll(".freshness.stale").length < 4`)
	p.awaitText(".heading .freshness", "updated")
}
