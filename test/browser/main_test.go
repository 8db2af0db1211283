package browser

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"cellblock/test/chromium"
	"cellblock/test/stack"
)

// bound is longer than any step of a test takes, even on a busy machine.
const bound = 30 * time.Second

var (
	// guarded has the settings that a service has by itself, and CORS_ORIGINS with one origin, that of friend.example.
	// open allows all origins and all hosts.
	guarded, open *stack.Stack
	// pages serves an empty page under any name.
	pages *httptest.Server
	// browserCtx is the context of the browser.
	browserCtx context.Context
)

func TestMain(m *testing.M) { stack.Main(m, "browser", run) }

func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-browser-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs, err := stack.FindOrBuild(context.Background(), os.Getenv("BROWSER_PROGRAMS"), dir)
	if err != nil {
		return 1, err
	}
	pages = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>a page</title><body></body>"))
	}))
	defer pages.Close()
	defer func() { err = errors.Join(err, stack.StopAll(guarded, open)) }()
	if guarded, err = start(programs, pageOf("friend.example"), ""); err != nil {
		return 1, err
	}
	if open, err = start(programs, "*", "*"); err != nil {
		return 1, err
	}
	var stop func() error
	if browserCtx, stop, err = chromium.Start(dir); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return m.Run(), nil
}

// pageOf returns the origin of the page under a host name.
func pageOf(host string) string {
	return "http://" + host + pages.URL[strings.LastIndex(pages.URL, ":"):]
}

func start(programs stack.Programs, origins, hosts string) (*stack.Stack, error) {
	return stack.Start(context.Background(), stack.Config{
		Programs: programs,
		API:      stack.Env{"CORS_ORIGINS": origins, "ALLOWED_HOSTS": hosts, "LIMIT_WALL": "60s"},
		Workers: []stack.Env{{
			"WORKER_CONCURRENCY": "2", "LIMIT_WALL": "60s", "DRAIN_TIMEOUT": "61s", "METRICS_ADDR": "127.0.0.1:0",
			"ALLOWED_HOSTS": hosts, "PRELOAD": "", "PRELOAD_ON_DEMAND": "",
		}},
	})
}

// visit opens a page in a tab of its own, calls a function in it, and returns what the promise of that resolves to.
func visit(t *testing.T, page, function string) string {
	t.Helper()
	tab, closeTab := chromedp.NewContext(browserCtx)
	defer closeTab()
	tab, cancel := context.WithTimeout(tab, bound)
	defer cancel()
	if err := chromedp.Do(tab, chromedp.Navigate(page)); err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	learned, err := chromedp.Run(tab, chromedp.Evaluate[string](function, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Errorf("%s: %v", page, err)
	}
	return learned
}
