package web

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"
)

// The attempts: scripts whose output, names, errors, results and displays are HTML, pictures with scripts, escape codes
// and right-to-left text. The page shows all of it as data: no script runs, nothing is loaded from a server, and the
// rest of the page is as it was. Each payload has a control, a page without protection in which it does reach a server.

// TestAttemptsControl shows that each payload is one.
func TestAttemptsControl(t *testing.T) {
	t.Parallel()
	c := startCanary(t)
	for _, each := range payloads {
		c.pages["/control/"+each.name] = "<!doctype html><title>control</title><body>" + each.at(c.URL)
	}
	c.pages["/control/svg.svg"] = svgAt(c.URL)
	for _, each := range append(payloads, payload{name: "svg"}) {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			suffix := ""
			if each.name == "svg" {
				suffix = ".svg"
			}
			ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
			defer closeTab()
			ctx, cancel := context.WithTimeout(ctx, bound)
			defer cancel()
			if err := chromedp.Do(ctx, chromedp.Navigate("about:blank"), allowDownloads(t.TempDir())); err != nil {
				t.Fatal(err)
			}
			// The page may lead away before it is complete, so the end of the navigation is not awaited.
			_, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](
				"void (location = "+quote(c.URL+"/control/"+each.name+suffix)+")"))
			if err == nil && each.click {
				err = chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#click")))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.await(ctx, "/fired/"+each.name); err != nil {
				t.Error(err)
			}
		})
	}
}

// attempt is a page that shows a job, and what watches it.
type attempt struct {
	*tab
	watch  *guard
	canary *canary
	job    string
	// url is that of the page.
	url string
}

// tryJob runs a script in which PAYLOADS is a list of the payloads, and opens it.
func tryJob(t *testing.T, script string, more fields) attempt {
	t.Helper()
	c := startCanary(t)
	p := visit(t, open.URL, "/console", lightView)
	p.awaitText("h1", "")
	a := attempt{tab: p, watch: watchTab(p, t.TempDir()), canary: c}
	a.open(t, script, more)
	return a
}

// open runs another script, and shows its job.
func (a *attempt) open(t *testing.T, script string, more fields) {
	t.Helper()
	listed, err := json.Marshal(append(htmlAt(a.canary.URL), svgAt(a.canary.URL)))
	if err != nil {
		t.Fatal(err)
	}
	request := fields{"files": []fields{{"path": ".payloads.json", "content": string(listed)}}}
	maps.Copy(request, more)
	script = "import json\nPAYLOADS = json.load(open('.payloads.json'))\n" + script
	a.job = runJob(t, script, request)
	a.openJob(a.job)
	a.url = a.origin + "/console#job=" + a.job
}

// check fails the test if the page, or anything outside of it, is not as if the job were plain text.
func (a *attempt) check(what string) {
	a.t.Helper()
	a.watch.check(what)
	if requests := a.canary.requests(); len(requests) > 0 {
		a.t.Errorf("%s reached the server: %q", what, requests)
	}
	state := eval[struct {
		Pwned   bool
		Title   string
		URL     string
		Foreign []string
		Head    string
		Covered bool
		Wide    float64
	}](a.tab, `(() => {
		const own = new Set(["/ui/frame.html"]);
		const foreign = [...document.querySelectorAll(
			"main :is(script, style, link, meta, base, object, embed, svg, math, video, audio, template, area)," +
			"#page [onclick], #page [onerror], #page [onload], body > :not(#page, noscript)")];
		for (const frame of document.querySelectorAll("iframe")) {
			if (frame.getAttribute("src") !== "/ui/frame.html" || frame.getAttribute("sandbox") !== "allow-scripts" ||
				frame.hasAttribute("srcdoc") || frame.clientHeight > 480) foreign.push(frame);
		}
		for (const image of document.images) {
			if (!/^(blob:|data:image\/svg\+xml;base64,)/.test(image.src)) foreign.push(image);
		}
		for (const link of document.links) if (link.origin !== location.origin) foreign.push(link);
		scrollTo(0, 0);
		const brand = document.querySelector("header .brand");
		const box = brand.getBoundingClientRect();
		return {
			Pwned: "pwned" in window, Title: document.title, URL: location.href,
			Foreign: foreign.map(element => element.outerHTML.slice(0, 300)),
			Head: document.querySelector("header").textContent,
			Covered: document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) !== brand,
			Wide: document.documentElement.scrollWidth - innerWidth,
		};
	})()`)
	if state.Pwned || !strings.HasSuffix(state.Title, "Cellblock") || state.URL != a.url {
		a.t.Errorf("%s changed the page: %+v", what, state)
	}
	if len(state.Foreign) > 0 {
		a.t.Errorf("%s brought elements into the page: %q", what, state.Foreign)
	}
	if state.Covered || !strings.HasPrefix(state.Head, "Cellblock") || state.Wide > 0 {
		a.t.Errorf("%s covers or moves the page: %+v", what, state)
	}
}

// has fails the test unless the element of a CSS selector shows each payload as text.
func (a *attempt) has(selector string, form func(string) string) {
	a.t.Helper()
	text := eval[string](a.tab, "document.querySelector("+quote(selector)+")?.textContent ?? ''")
	for _, each := range append(htmlAt(a.canary.URL), svgAt(a.canary.URL)) {
		if !strings.Contains(text, form(each)) {
			a.t.Errorf("%s lacks %q", selector, form(each))
			return
		}
	}
}

func asIs(text string) string { return text }

// TestAttemptsOutput has payloads in what a script prints, and in a long output.
func TestAttemptsOutput(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `import sys
def main():
    for each in PAYLOADS:
        print(each)
        print(each, file=sys.stderr)
    print("<b>" * 300_000)
`, nil)
	a.has(".stdout", asIs)
	a.has(".stderr", asIs)
	a.check("output")
}

// TestAttemptsResult has payloads in the keys and values of a result, and in notes, as a tree, JSON and a table.
func TestAttemptsResult(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `
def main():
    p = PAYLOADS
    return {"nan": {each[:60]: float("nan") for each in p}, "values": [each[:150] for each in p],
        "keys": {each: 1 for each in p}, "long": "\n".join(p), "__proto__": {"pwned": 1}, "constructor": p[0]}
`, nil)
	p := a.tab
	open := `(async () => {
		for (let round = 0; round < 10; round++) {
			for (const row of document.querySelectorAll('.row[aria-expanded="false"], .row:has(.more)')) row.click();
			await new Promise(requestAnimationFrame);
		}
	})()`
	p.do(chromedp.Evaluate[chromedp.Void](open, chromedp.EvalAwaitPromise))
	a.has(".tree", asIs) // the long text has them as they are
	a.has(".tree", func(text string) string {
		if strings.Contains(text, "\n") {
			return text[:150] // a row of several lines shows them
		}
		return quote(text[:min(150, len(text))])
	})
	p.awaitText(".notes", `NaN became null`)
	p.awaitText(".notes", `<script>fetch(`)
	a.check("a result as a tree")
	p.clickText("JSON")
	p.await(`document.querySelector(".result .chunk")`)
	a.has(".result", quote)
	a.check("a result as JSON")

	a.open(t, `
def main():
    p = PAYLOADS
    return [{each: each[:250].strip() for each in p}, {each: [each] for each in p}]
`, nil)
	p.clickText("More columns (6 left)")
	a.has(".result thead", func(text string) string { return text[:min(290, len(text))] })
	a.has(".result tbody", func(text string) string { return strings.TrimSpace(text[:min(250, len(text))]) })
	a.check("a result as a table")
	a.open(t, "def main():\n    return \"\\n\".join(PAYLOADS)\n", nil)
	a.has(".result", asIs)
	a.check("a result that is a text")
}

// TestAttemptsFailure has payloads in exceptions, tracebacks, source lines and details of failures.
func TestAttemptsFailure(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `
def main():
    p = PAYLOADS
    def fail():
        raise type(p[0], (Exception,), {})("\n".join(p))
    fail.__code__ = fail.__code__.replace(co_name=p[2])
    fail()
`, nil)
	a.has(".sentence", asIs)
	a.has(".traceback", func(text string) string { return strings.ReplaceAll(text, "\n", "") }) // a line each
	a.check("an exception")
	a.open(t, "def main():\n    return {each[:60]: {1} for each in PAYLOADS}\n", nil)
	a.awaitText(".failure", "<script>fetch(")
	a.check("a detail")
	a.open(t, "def main():\n    x = '"+`<img src=x onerror="window.pwned=1">`+"' = 3\n", nil)
	a.awaitText(".source", `<img src=x onerror="window.pwned=1">`)
	a.check("a line of the script")
	a.open(t, "import sys\ndef main():\n    sys.exit(PAYLOADS[0])\n", nil)
	a.awaitText(".stderr", "<script>")
	a.check("an exit")
	a.open(t, "def main(a):\n    return a\n", fields{"args": fields{"a": 1, `<img src=x onerror="window.pwned=1">`: 1}})
	a.awaitText(".failure", "<img src=x")
	a.check("an argument")
}

// TestAttemptsText has text that terminals and browsers obey.
func TestAttemptsText(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `import os, sys
def main():
    texts = ["\x1b[2J\x1b[31mred\x1b]8;;http://127.0.0.1/\x07link\x1b]8;;\x07", "user\u202enimda\u202c",
        "\u2066\u2067\u2068\u2069x", "a\rb\x08c\x00d\x7fe\x9bf", "\u200e\u200f\u061c\ufeff\u200bz",
        "a" + "\u0301" * 500,
        "\u05d0\u05d1\u05d2 abc", "\U000e0041"]
    for text in texts:
        print(text)
        print(text, file=sys.stderr)
    os.makedirs("outputs", exist_ok=True)
    for i, text in enumerate(texts):
        with open(f"outputs/{i}" + text.replace("/", "_").replace("\0", "")[:40] + "fdp.exe", "w") as f:
            f.write(text)
    return {"list": texts, "nan": {text: float("nan") for text in texts}, **{text: text for text in texts}}
`, nil)
	a.awaitText(".files", "fdp.exe")
	a.awaitText(".notes", "NaN became null")
	for _, text := range []string{
		"ESC[31mred", "userU+202EnimdaU+202C", "U+2066U+2067U+2068U+2069x", "aCRbBScNULdDELeU+009Bf",
		"U+200EU+200FU+061CU+FEFFU+200Bz", "492 marks", "U+E0041",
	} {
		a.awaitText(".stdout", text)
		a.awaitText(".stderr", text)
	}
	a.awaitText(".tree", "userU+202Enimda")
	// Also in attributes: titles, alternative texts, labels.
	const obeyed = `[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]|` +
		`\ufeff|\p{M}{9}`
	if found := eval[[]string](a.tab, `(() => {
		const obeyed = new RegExp(`+quote(obeyed)+`, "u");
		const found = [...document.querySelectorAll("#page *")].flatMap(element =>
			[...element.attributes].map(each => each.value)).filter(value => obeyed.test(value));
		return obeyed.test(document.body.textContent) ? [...found, "the text of the page"] : found;
	})()`); len(found) > 0 {
		t.Errorf("the page has characters that it should not: %q", found)
	}
	a.check("text")
	// Each text is in an element of its own, whose direction does not change what is around it.
	if open := eval[int](a.tab, `[...document.querySelectorAll(".job bdi")].filter(element =>
		getComputedStyle(element).unicodeBidi !== "isolate" ||
		getComputedStyle(element).direction !== "ltr").length`); open > 0 {
		t.Errorf("%d texts are not isolated", open)
	}
	high := eval[float64](a.tab, `Math.max(...[...document.querySelectorAll(".file")].map(row =>
		row.scrollHeight - row.clientHeight))`)
	if high > 2 {
		t.Errorf("marks reach %v pixels beyond their row", high)
	}
}
