package web

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	// maxPageBytes bounds what a first visit of the playground receives.
	maxPageBytes = 400 << 10
	// maxFirstPaint is in milliseconds, for the best of some visits.
	maxFirstPaint = 300
)

func TestPlaygroundLooks(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]view{"light": lightView, "dark": darkView, "phone": phoneView} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openPlayground(t, open.URL, look)
			p.checkAccessibility()
			p.example("figure")
			p.run("Succeeded")
			p.await(`[...document.querySelectorAll(".output img")]
				.every(image => image.complete && image.naturalWidth > 0)`)
			p.checkFits()
			p.checkAccessibility()
			p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
			p.publish("playground-" + name)

			p.example("arguments")
			for _, panel := range []string{"Options", "History", "Copy as", "Share"} {
				p.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
				p.clickButton(panel)
				p.await(`document.querySelector("#panel section")?.ariaLabel === ` + quote(panel))
				p.checkFits()
				p.checkAccessibility()
				p.screenshot("playground-" + name + "-" + strings.ToLower(strings.ReplaceAll(panel, " ", "-")))
			}
			p.example("An error")
			p.run("Failed")
			p.checkAccessibility()
			top := eval[float64](p, `document.querySelector(".output").getBoundingClientRect().top / innerHeight`)
			if top > 0.5 {
				t.Errorf("after a run the output begins at %.0f%% of the window", 100*top)
			}
			p.screenshot("playground-" + name + "-error")
		})
	}
}

// checkFits fails if the page does not fit the window, or the Run button is outside of it.
func (p *tab) checkFits() {
	p.t.Helper()
	if !eval[bool](p, `document.documentElement.scrollWidth <= document.documentElement.clientWidth`) {
		p.t.Error("the page is wider than the window")
	}
	// In two columns, the output and the panel scroll by themselves.
	if !eval[bool](p, `innerWidth < 960 || document.documentElement.scrollHeight <= innerHeight`) {
		p.t.Error("the page is higher than the window, and so has a second scroll bar")
	}
	if !eval[bool](p, `(() => {
		const box = document.querySelector(".run-bar .primary").getBoundingClientRect();
		return box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth && box.height >= 24;
	})()`) {
		p.t.Error("the Run button cannot be reached without scrolling")
	}
}

func TestPlaygroundIsUsedByKeyboard(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	// From the top of the page, Tab reaches each control once and then the editor.
	var seen []string
	for range 30 {
		p.press(kb.Tab)
		name := eval[string](p, `(() => {
			const focused = document.activeElement;
			return focused.className === "editor-host" ? "editor" : focused.ariaLabel ?? focused.textContent;
		})()`)
		seen = append(seen, name)
		if name == "editor" {
			break
		}
	}
	order := strings.Join(seen, "|")
	for _, want := range []string{"Examples", "Add files", "Options", "History", "Copy as", "Share", "editor"} {
		if !strings.Contains(order, want) {
			t.Errorf("Tab does not reach %s: %s", want, order)
		}
	}
	p.press("a", chromedp.ModifierCtrl)
	p.do(typed("def main():"))
	p.press(kb.Enter)
	p.do(typed("return 'typed'"))
	if got := p.script(); got != "def main():\n    return 'typed'" {
		t.Errorf("Enter does not indent by four spaces: %q", got)
	}
	p.press(kb.Tab)
	if got := p.script(); got != "def main():\n    return 'typed'  " {
		t.Errorf("Tab does not indent: %q", got)
	}
	p.press("z", chromedp.ModifierCtrl)
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".output", "typed")

	p.press(kb.Escape)
	p.press(kb.Tab)
	p.await(`document.activeElement.textContent.startsWith("Run")`)
	p.press(kb.Enter)
	p.awaitStatus("Succeeded")

	// A panel opens with its button, and Escape returns to that.
	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("open-options").focus()`))
	p.press(kb.Enter)
	p.await(`document.querySelector("#panel:not([hidden])")`)
	for range 8 {
		if eval[bool](p, `document.getElementById("panel").contains(document.activeElement)`) {
			break
		}
		p.press(kb.Tab)
	}
	p.press(kb.Escape)
	p.await(`document.getElementById("panel").hidden && document.activeElement.id === "open-options"`)
}

func TestPlaygroundIsSmallAndFast(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	var (
		mu    sync.Mutex
		bytes int64
	)
	if err := chromedp.Listen(p.ctx, func(event any) {
		if event, ok := event.(*network.EventLoadingFinished); ok {
			mu.Lock()
			defer mu.Unlock()
			bytes += int64(event.EncodedDataLength)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		return err
	}))
	best := 1e9
	for range 5 {
		mu.Lock()
		bytes = 0
		mu.Unlock()
		p.do(chromedp.Navigate(open.URL + "/"))
		p.awaitEditor()
		p.await(`performance.getEntriesByName("first-contentful-paint").length > 0`)
		best = min(best, eval[float64](p, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("a first visit receives %d KiB; the first paint is after %.0f ms", bytes>>10, best)
	if bytes == 0 || bytes > maxPageBytes {
		t.Errorf("a first visit receives %d bytes, want at most %d", bytes, maxPageBytes)
	}
	if best > maxFirstPaint {
		t.Errorf("the first paint is after %.0f ms, want at most %d", best, maxFirstPaint)
	}
}
