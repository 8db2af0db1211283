package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// rich leaves one of each thing.
const rich = `import json, sys, os
import pandas as pd
import matplotlib.pyplot as plt

def main():
    print("step 1 of 2\nstep 2 of 2")
    print("a warning", file=sys.stderr)
    print("\x1b[31mred\x1b[0m 50%\r100%")
    os.makedirs("outputs/data")
    with open("outputs/data/points.csv", "w") as f:
        f.write("x,y\n1,2\n")
    plt.plot([1, 4, 9, 16])
    plt.title("Squares")
    return {
        "count": 12345678901234567890, "mean": 3.0, "tiny": 1e-320, "none": None, "nan": float("nan"),
        "names": ["north", "south"], "text": "first line\nsecond line " + "x" * 300,
        "10": 1, "2": 2, "nested": {"a": {"b": {"c": [[[1.0]]]}}}, "many": list(range(1000)),
    }
`

// TestJobView looks at a job with one of each thing, in each view.
func TestJobView(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]view{"light": lightView, "dark": darkView, "phone": phoneView} {
		p := showJob(t, look, rich, fields{"labels": fields{"customer": "42", "example.com/run": "nightly"}})
		p.awaitText(".stdout", "step 2 of 2")
		p.awaitText(".stderr", "a warning")
		p.awaitText(".stdout", "ESC[31mred")
		p.awaitText(".tree", "12345678901234567890")
		p.awaitText(".tree", "mean: 3.0")
		p.awaitText(".tree", "1e-320")
		p.awaitText(".notes", `result["nan"]: NaN became null`)
		p.awaitText(".files", "data/points.csv")
		p.await(`document.querySelector(".picture img")?.naturalWidth > 100`)
		p.checkAccessibility()
		p.checkWidth()
		p.screenshot("job-" + name)
		p.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, document.body.scrollHeight)`))
		p.screenshot("job-" + name + "-end")
	}
}

// checkWidth fails the test if the page is wider than the window.
func (p *tab) checkWidth() {
	p.t.Helper()
	if wide := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		p.t.Errorf("the page is %d pixels wider than the window", wide)
	}
}

// TestJobTree uses the tree with the keyboard.
func TestJobTree(t *testing.T) {
	t.Parallel()
	p := showJob(t, lightView, `def main():
    deep = 7
    for level in range(60):
        deep = {"level": deep} if level % 2 else [deep]
    return {"first": {"second": [1, 2.5, 3]}, "list": [i / 2 for i in range(1234)], "deep": deep, "text": "y" * 30000}
`, nil)
	p.awaitText(".tree", "1,234 items")
	p.do(chromedp.Focus(chromedp.CSS(".tree")))
	at := func(want string) {
		t.Helper()
		p.await(`(() => {
			const tree = document.querySelector(".tree");
			const row = document.getElementById(tree.getAttribute("aria-activedescendant"));
			const [a, b] = [row.getBoundingClientRect(), tree.getBoundingClientRect()];
			return document.activeElement === tree && row.textContent.includes(` + quote(want) + `) &&
				a.bottom <= b.bottom + 1 && a.top >= b.top - 1;
		})()`)
	}
	press := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			p.do(chromedp.KeyEvent(key))
		}
	}
	at("4 members")
	press(kb.ArrowDown, kb.ArrowDown)
	at("second")
	press(kb.ArrowDown, kb.ArrowDown)
	at("1: 2.5")
	press(kb.ArrowLeft)
	at("second")
	press(kb.ArrowLeft)
	at("second: [1, 2.5, 3]")
	press(kb.ArrowRight)
	at("second: 3 items")
	press(kb.End)
	at("text: ")
	press(kb.Enter)
	p.await(`document.querySelector(".tree").textContent.includes("More (20,000 characters left)")`)
	press(kb.ArrowDown, kb.Enter)
	p.await(`document.querySelector(".tree .opened").textContent.length === 30000`)
	// The list is closed at first, since it is long.
	press(kb.Home)
	for range 6 {
		press(kb.ArrowDown)
	}
	at("list: [0.0, 0.5, ")
	press(kb.ArrowRight, kb.End)
	p.await(`document.querySelector(".tree").textContent.includes("More (1,134 items left)")`)
	for !eval[bool](p, `document.querySelector(".row.active").textContent.includes("More (1,134")`) {
		press(kb.ArrowUp)
	}
	press(kb.Enter)
	at("100: 50.0")
	p.await(`document.querySelector(".tree").textContent.includes("More (1,034 items left)")`)
	p.checkAccessibility()
	// Levels beyond what is indented are named.
	p.do(chromedp.Evaluate[chromedp.Void](`(async () => {
		for (let level = 0; level < 60; level++) {
			const closed = [...document.querySelectorAll('.row[aria-expanded="false"]')].at(-1);
			if (closed === undefined) break;
			closed.click();
			await new Promise(requestAnimationFrame);
		}
	})()`, chromedp.EvalAwaitPromise))
	p.awaitText(".tree", "level 62")
	p.checkWidth()
	p.screenshot("job-tree-deep")
}

// TestJobTable shows tables.
func TestJobTable(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]view{"light": lightView, "phone": phoneView} {
		p := showJob(t, look, `import pandas as pd
def main():
    return pd.DataFrame({"region": ["north", "south", None] * 100, "sales": [381.25, 285.0, 1.0] * 100,
        "n": [2**60 + 1, 7, 8] * 100, "text": ["12", "true", " x"] * 100, "long": ["word " * 40, "", "z"] * 100})
`, nil)
		p.awaitText(".table thead", "region")
		p.awaitText(".table", "1152921504606846977")
		p.awaitText(".table", "285.0")
		p.awaitText(".result", "300 rows, 5 columns")
		p.checkAccessibility()
		p.checkWidth()
		p.screenshot("job-table-" + name)
	}
}

// TestJobFailures shows failures of several kinds.
func TestJobFailures(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]struct {
		script string
		more   fields
	}{
		"exception": {"def helper(n):\n    return 1 / n\n\ndef main():\n    try:\n        helper(0)\n" +
			"    except ZeroDivisionError as e:\n        raise ValueError('bad input: ' + 'x' * 30) from e\n", nil},
		"syntax":  {"def main():\n    日本 = '語語語'\n    return \"日本語\" + + * 3\n", nil},
		"timeout": {"import time\ndef main():\n    time.sleep(9)\n", fields{"limits": fields{"wall_seconds": 0.5}}},
		"memory":  {"def main():\n    return len(bytearray(200 << 20))\n", fields{"limits": fields{"memory_mb": 64}}},
		"set":     {"def main():\n    return {'a': [1, {2, 3}]}\n", nil},
		"exit":    {"import sys\ndef main():\n    print('x' * 100)\n    sys.exit(3)\n", nil},
		"killed":  {"import os\ndef main():\n    os.kill(os.getpid(), 11)\n", nil},
	} {
		p := showJob(t, lightView, request.script, request.more)
		p.await(`document.querySelector(".failure .code")`)
		p.checkAccessibility()
		p.screenshot("job-failure-" + name)
	}
}

// TestJobDisplays shows the displays of a cell.
func TestJobDisplays(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]view{"light": lightView, "dark": darkView} {
		p := showJob(t, look, strings.TrimSpace(`
import pandas as pd, matplotlib.pyplot as plt
class SVG:
    def _repr_svg_(self):
        return ('<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40">'
            '<rect width="120" height="40" fill="teal"/></svg>')
class Both:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"application/json": {"a": 1.0, "b": [1, 2, 12345678901234567890]}, "text/plain": "Both",
            "application/x-other+json": {"c": 3}}
plt.plot([1, 4, 9]); plt.show()
display(SVG()); display(Both()); display({"text/markdown": "# Title\n*text*", "text/plain": "Title"}, raw=True)
pd.DataFrame({"n": range(30), "square": [i * i for i in range(30)]})
`), fields{"entry": "cell"})
		p.await(`document.querySelectorAll(".displays .display").length === 5`)
		p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".display:last-child").scrollIntoView()`))
		p.await(`document.querySelector("iframe.html")?.clientHeight > 300`)
		p.await(`document.querySelectorAll(".display img").length === 2`)
		p.await(`[...document.querySelectorAll(".display img")].every(image => image.naturalWidth > 0)`)
		p.checkAccessibility()
		p.screenshot("job-displays-" + name)
		p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("iframe.html").scrollIntoView()`))
		p.screenshot("job-displays-" + name + "-html")
	}
}

// TestJobOmitted shows a job with more files and displays than are kept. Frames are made only where they are near.
func TestJobOmitted(t *testing.T) {
	t.Parallel()
	p := showJob(t, phoneView, `
for i in range(70):
    open(f"file{i:02}.txt", "w").write("x" * i)
    display({"text/html": f"<p>display {i}</p>", "text/plain": "y"}, raw=True)
display({"text/html": "z" * 300_000, "text/plain": "z"}, raw=True)
`, fields{"entry": "cell"})
	p.await(`document.querySelectorAll(".display").length === 64`)
	p.await(`document.querySelectorAll("iframe").length > 0`)
	if frames := eval[int](p, `document.querySelectorAll("iframe").length`); frames > 30 {
		t.Errorf("the page has %d frames at first", frames)
	}
	p.awaitText(".displays", "display 65 (number of displays)")
	p.awaitText(".files", "6 files left out")
	p.awaitText(".files", "number of files: at most 64")
	p.checkAccessibility()
	p.checkWidth()
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".display")[63].scrollIntoView()`))
	p.await(`document.querySelectorAll(".display")[63].querySelector("iframe")?.clientHeight > 24`)
	p.screenshot("job-omitted-phone")
}

// TestJobWithToken shows a picture and saves a file of a service that asks for a token.
func TestJobWithToken(t *testing.T) {
	t.Parallel()
	c := as(t, closed, operatorsToken)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGone)
	}))
	t.Cleanup(receiver.Close)
	id := c.start(`import matplotlib.pyplot as plt
def main():
    plt.plot([1, 4, 9])
    return {"name": None, "index": ["north", "south"], "data": [381.25, 285.0]}
`, fields{"callback_url": receiver.URL + "/hook?secret=1"})
	c.awaitEnd(id)
	p := openConsole(t, c, "#job="+id, id, lightView)
	p.await(`document.querySelector(".picture img")?.naturalWidth > 100`)
	p.await(`/^blob:/.test(document.querySelector(".picture img").src)`)
	p.awaitText(".result .table", "285.0")
	p.awaitText(".details", "/hook")
	p.await(`!document.querySelector(".details").textContent.includes("secret")`)
	folder := t.TempDir()
	watchTab(p, folder)
	p.clickText("Download")
	p.awaitText(".files", "Downloaded")
	if content := awaitFile(t, filepath.Join(folder, "figure-1.png")); !strings.HasPrefix(content, "\x89PNG") {
		t.Errorf("the saved file begins with %q", content[:min(8, len(content))])
	}
	// The URL of a picture ends with its place on the page.
	old := eval[string](p, `(() => {
		const revoke = URL.revokeObjectURL;
		window.revoked = [];
		URL.revokeObjectURL = url => { revoked.push(url); revoke.call(URL, url) };
		return document.querySelector(".picture img").src;
	})()`)
	eval[bool](p, `(location.hash = "", true)`)
	p.await("revoked.includes(" + quote(old) + ")")
}

// TestJobDownloadFails saves a file while the service is away, and later.
func TestJobDownloadFails(t *testing.T) {
	t.Parallel()
	p := showJob(t, lightView, "def main():\n    open('outputs/a.txt', 'w').write('a')\n", nil)
	p.expect("ERR_BLOCKED_BY_CLIENT")
	p.awaitText(".files", "a.txt")
	p.block("*://*:*/jobs/*/files/*")
	p.clickText("Download")
	p.awaitText(".files [role=alert]", "The service does not answer")
	p.block()
	p.clickText("Download")
	p.awaitText(".files", "Downloaded")
}

// block keeps the tab from reaching URLs of these patterns, and of these only.
func (p *tab) block(patterns ...string) {
	p.t.Helper()
	blocked := network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{}}
	for _, each := range patterns {
		blocked.URLPatterns = append(blocked.URLPatterns, &network.BlockPattern{URLPattern: each, Block: true})
	}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetBlockedURLs, blocked)
		return err
	}))
}
