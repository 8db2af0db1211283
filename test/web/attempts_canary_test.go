package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	browserdomain "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// canary is a server that nothing of a job may reach. Its path /control/NAME is the payload of that name as a page.
type canary struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
	// changed is closed, and replaced, at each request.
	changed chan struct{}
	pages   map[string]string
}

func startCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{changed: make(chan struct{}), pages: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *canary) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Access-Control-Allow-Origin", "*")
	c.mu.Lock()
	defer c.mu.Unlock()
	if content, ok := c.pages[r.URL.Path]; ok {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if strings.HasSuffix(r.URL.Path, ".svg") {
			w.Header().Set("Content-Type", "image/svg+xml")
		}
		_, _ = io.WriteString(w, content)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/fired/") {
		c.seen = append(c.seen, r.URL.Path)
		close(c.changed)
		c.changed = make(chan struct{})
	}
	w.WriteHeader(http.StatusNoContent)
}

// requests returns the paths that were requested.
func (c *canary) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// await waits for a request whose path begins with a prefix.
func (c *canary) await(ctx context.Context, prefix string) error {
	for {
		c.mu.Lock()
		changed := c.changed
		reached := slices.ContainsFunc(c.seen, func(path string) bool { return strings.HasPrefix(path, prefix) })
		c.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no request for %s", prefix)
		}
	}
}

// guard records what no job may cause in a tab.
type guard struct {
	p         *tab
	mu        sync.Mutex
	incidents []string
	downloads []string
}

// watchTab starts to record. The folder is where the tab saves downloads.
func watchTab(p *tab, folder string) *guard {
	p.t.Helper()
	g := &guard{p: p}
	if err := chromedp.Listen(p.ctx, g.listen); err != nil {
		p.t.Fatal(err)
	}
	p.do(allowDownloads(folder))
	return g
}

// allowDownloads saves downloads in a folder. The session of the tab gets the events of its own downloads only.
func allowDownloads(folder string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		enabled := true
		_, err := cdp.Call(ctx, t, browserdomain.SetDownloadBehavior, browserdomain.SetDownloadBehaviorParams{
			Behavior: browserdomain.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder, EventsEnabled: &enabled,
			BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		})
		return err
	})
}

func (g *guard) listen(event any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch event := event.(type) {
	case *page.EventJavascriptDialogOpening:
		g.incidents = append(g.incidents, "a dialog: "+event.Message)
	case *page.EventWindowOpen:
		g.incidents = append(g.incidents, "a window: "+event.URL)
	case *page.EventFrameNavigated:
		path, ours := strings.CutPrefix(event.Frame.URL, g.p.origin)
		if !ours || path != "/" && path != "/console" && path != "/ui/frame.html" {
			g.incidents = append(g.incidents, "a frame shows "+event.Frame.URL)
		}
	case *browserdomain.EventDownloadWillBegin:
		g.downloads = append(g.downloads, event.SuggestedFilename)
	}
}

// check fails the test if something happened in the tab.
func (g *guard) check(what string) {
	g.p.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, incident := range g.incidents {
		g.p.t.Errorf("%s caused %s", what, incident)
	}
	for _, name := range g.downloads {
		g.p.t.Errorf("%s caused a download of %s", what, name)
	}
	for _, info := range g.p.targets() {
		switch {
		case info.Type == "iframe" && strings.TrimSuffix(info.URL, "#here") == g.p.origin+"/ui/frame.html":
		case info.Type == "page" && strings.HasPrefix(info.URL, g.p.origin+"/"):
		default:
			g.p.t.Errorf("%s caused a %s with %s", what, info.Type, info.URL)
		}
	}
}

// targets returns the pages, frames and workers of the tab's browser context.
func (p *tab) targets() []*target.Info {
	p.t.Helper()
	all, err := chromedp.Targets(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	own := chromedp.FromContext(p.ctx).BrowserContextID
	return slices.DeleteFunc(all, func(info *target.Info) bool {
		return info.BrowserContextID != own || info.Type == "tab" || info.Type == "browser_ui"
	})
}
