package web

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
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
	t  *testing.T
	mu sync.Mutex
	// paths are those of the requests since the last call of clear.
	paths []string
	// more has a value after each request.
	more chan struct{}
}

// logRequests notes the requests of a tab from now on.
func (p *tab) logRequests() *requestLog {
	p.t.Helper()
	log := &requestLog{t: p.t, more: make(chan struct{}, 1)}
	if err := chromedp.Listen(p.ctx, log.note); err != nil {
		p.t.Fatal(err)
	}
	return log
}

func (l *requestLog) note(event any) {
	sent, ok := event.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	address, err := url.Parse(sent.Request.URL)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = append(l.paths, address.Path)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// noted returns the paths of the requests so far.
func (l *requestLog) noted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.paths)
}

func (l *requestLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = nil
}

// await waits until each of the paths was requested since the last call of clear.
func (l *requestLog) await(paths ...string) {
	l.t.Helper()
	timeout := time.After(bound)
	for {
		noted := l.noted()
		if !slices.ContainsFunc(paths, func(path string) bool { return !slices.Contains(noted, path) }) {
			return
		}
		select {
		case <-l.more:
		case <-timeout:
			l.t.Fatalf("the page requested only %q of %q", noted, paths)
		}
	}
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
	for range 2 { // it refreshes by itself
		log.clear()
		log.await("/activity", "/workers", "/jobs")
	}
	p.setHidden(true)
	// Responses of requests in progress may still come.
	p.await(`performance.now() > (window.hiddenAt ??= performance.now()) + 1000`)
	log.clear()
	p.await(`performance.now() > hiddenAt + 8000`) // longer than each pause
	if noted := log.noted(); len(noted) > 0 {
		t.Errorf("requests while the page was hidden: %q", noted)
	}
	p.setHidden(false)
	log.await("/activity", "/workers", "/jobs")
	p.awaitText(".freshness", "updated 0 s ago")
}

// outage is a proxy before a service, which fails while it is down.
type outage struct {
	URL string
	// down refuses all requests, with 503 and a pause of some seconds.
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
