package web

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"cellblock/test/stack"
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

// outage is a proxy before a service, which fails when it is told to.
type outage struct {
	URL string
	// down refuses all requests but those for files, with 503 and a pause of some seconds.
	down atomic.Bool
	// refused counts the requests that were refused.
	refused atomic.Int32
}

const pauseOfOutage = 4

func before(t *testing.T, s *stack.Stack) *outage {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	o := &outage{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.down.Load() {
			proxy.ServeHTTP(w, r)
			return
		}
		o.refused.Add(1)
		w.Header().Set("Retry-After", strconv.Itoa(pauseOfOutage))
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error": "the service rests", "code": "unavailable"}`))
	}))
	t.Cleanup(server.Close)
	o.URL = server.URL
	return o
}

func TestConsoleGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	service := before(t, open)
	p := visit(t, service.URL, "/console", lightView)
	p.expect("status of 503")
	p.await(`document.querySelectorAll(".freshness .updated").length >= 4`)
	service.down.Store(true)
	p.await(`document.querySelectorAll(".freshness.stale").length >= 4`)
	p.awaitText(".freshness.stale", "Out of date. the service rests")
	p.awaitText(".freshness.stale", "next attempt in")
	// What was known is still there.
	p.awaitTile("Ready sandboxes", eval[string](p, `document.querySelectorAll(".tile .value")[3].textContent`))
	p.checkAccessibility()
	// Each of the four readings keeps the pause.
	sofar := service.refused.Load()
	p.await(`performance.now() > (window.sinceOutage ??= performance.now()) + 8000`)
	if n := service.refused.Load() - sofar; n > 4*(8/pauseOfOutage+1) {
		t.Errorf("%d requests in 8 seconds", n)
	}
	service.down.Store(false)
	p.clickText("Try now")
	p.await(`document.querySelectorAll(".freshness.stale").length === 0`)
}
