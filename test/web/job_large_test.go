package web

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A script can forge a result that is deeper than any that the runner makes. The page shows it, and goes on.
func TestJobForgedDepth(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(`import os, struct
def main():
    deep = b"[" * 9000 + b"]" * 9000
    os.write(3, b"R" + struct.pack(">I", len(deep)) + deep)
    os._exit(0)
`)
	p.run("Succeeded")
	p.await(`document.querySelectorAll(".result .tree .row").length > 3`)
	p.clickButton("JSON")
	p.awaitText(".result .text", "[[[[[[[[")
	p.write(mine)
	p.run("Succeeded")
	p.awaitText(".result", "mine")
}

// A record with very many members does not stop the page.
func TestJobTableWide(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write("def main():\n    return [{f'k{i}': i for i in range(180_000)}]\n")
	p.do(chromedp.Evaluate[chromedp.Void](`void new PerformanceObserver(list => {
		for (const each of list.getEntries()) window.longest = Math.max(window.longest ?? 0, each.duration);
	}).observe({type: "longtask", buffered: true})`))
	p.run("Succeeded")
	p.await(`document.querySelectorAll(".table th").length >= 40`)
	p.await(`performance.now() > (window.shownAt ??= performance.now()) + 300`)
	if longest := eval[float64](p, `window.longest ?? 0`); longest > 8_000 {
		t.Errorf("the page did nothing else for %.0f ms", longest)
	}
}
