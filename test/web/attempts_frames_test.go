package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// frame is the document of a display.
type frame struct {
	ctx    context.Context
	name   string
	mu     sync.Mutex
	errors []string
}

func (f *frame) listen(event any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch event := event.(type) {
	case *log.EventEntryAdded:
		f.errors = append(f.errors, event.Entry.Text)
	case *runtime.EventExceptionThrown:
		f.errors = append(f.errors, describe(event.ExceptionDetails.Exception))
	}
}

// frames returns the frames of a page in which HTML is shown, by the text of their element with the class "name". It
// waits until the browser lists as many as are wanted.
func (p *tab) frames(want int) map[string]*frame {
	p.t.Helper()
	found := map[string]*frame{}
	seen := map[target.ID]bool{}
	for deadline := time.Now().Add(bound); len(found) < want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the page has %d frames, want %d", len(found), want)
		}
		for _, info := range p.targets() {
			if info.Type == "iframe" && !seen[info.TargetID] {
				f := p.frame(info.TargetID)
				found[f.name], seen[info.TargetID] = f, true
			}
		}
	}
	return found
}

func (p *tab) frame(id target.ID) *frame {
	p.t.Helper()
	f := &frame{}
	var cancel context.CancelFunc
	f.ctx, cancel = chromedp.NewContext(p.ctx, chromedp.WithTargetID(id), chromedp.WithListener(f.listen))
	p.t.Cleanup(cancel)
	name, err := chromedp.Run(f.ctx, chromedp.Evaluate[string](`document.querySelector(".name")?.textContent ?? ""`))
	if err != nil {
		p.t.Fatal(err)
	}
	f.name = name
	return f
}

// evalIn returns the value of a JavaScript expression in a frame.
func evalIn[T any](t *testing.T, f *frame, expression string) T {
	t.Helper()
	if f == nil {
		t.Fatal("the display has no frame with a process of its own")
	}
	ctx, cancel := context.WithTimeout(f.ctx, bound)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %s: %v", f.name, expression, err)
	}
	return value
}

// TestAttemptsDisplays shows each payload as an HTML display, and clicks where it waits for a click.
func TestAttemptsDisplays(t *testing.T) {
	t.Parallel()
	for part := range slices.Chunk(payloads, 12) {
		showPayloads(t, part)
	}
}

// showPayloads shows some of the payloads on one page.
func showPayloads(t *testing.T, part []payload) {
	names := []string{}
	for _, each := range part {
		names = append(names, each.name)
	}
	first := slices.IndexFunc(payloads, func(each payload) bool { return each.name == names[0] })
	a := tryJob(t, fmt.Sprintf(`
for name, html in zip(%q.split(), PAYLOADS[%d:]):
    display({"text/html": '<p class="name">' + name + '</p>' + html, "text/plain": html}, raw=True)
`, strings.Join(names, " "), first), fields{"entry": "cell"})
	p := a.tab
	// Frames are made once they are near.
	p.await(fmt.Sprintf(`document.querySelectorAll(".display").length === %d`, len(part)))
	p.await(`(() => {
		const empty = [...document.querySelectorAll(".display")].find(each =>
			!(each.querySelector("iframe")?.clientHeight > 30));
		empty?.scrollIntoView();
		return empty === undefined;
	})()`)
	a.check("displays")
	frames := p.frames(len(part))
	for number, each := range part {
		f := frames[each.name]
		if f == nil {
			t.Errorf("no frame shows %s", each.name)
			continue
		}
		if each.click {
			p.clickIn(f, number)
		}
		state := evalIn[string](t, f, `[window.pwned, document.title, self.origin, location.pathname,
			document.querySelectorAll("script").length, document.querySelector(".name")?.textContent].join()`)
		if want := ",Display of a job,null,/ui/frame.html,1," + each.name; state != want {
			t.Errorf("%s: the frame is %s, want %s", each.name, state, want)
		}
		f.mu.Lock()
		for _, text := range f.errors {
			if !expectedInFrame(text) {
				t.Errorf("%s: the frame reports %s", each.name, text)
			}
		}
		f.mu.Unlock()
	}
	a.check("displays that were clicked")
}

// expectedInFrame reports whether a message on the console of a frame is about what its policy refuses.
func expectedInFrame(text string) bool {
	for _, part := range []string{
		"violates the following Content Security Policy directive", "Blocked form submission", "Blocked opening",
		"Loading the", "Refused to",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// clickIn clicks the element with the id "click" in the frame of a display, with the mouse.
func (p *tab) clickIn(f *frame, display int) {
	p.t.Helper()
	type point struct{ X, Y float64 }
	outer := eval[point](p, fmt.Sprintf(`(async () => {
		const frame = document.querySelectorAll(".display")[%d].querySelector("iframe");
		frame.scrollIntoView({block: "center", behavior: "instant"});
		await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
		const box = frame.getBoundingClientRect();
		return {X: box.x + frame.clientLeft, Y: box.y + frame.clientTop};
	})()`, display))
	inner := evalIn[point](p.t, f, `(() => {
		window.clicks = 0;
		addEventListener("click", event => { clicks += ["click", "area"].includes(event.target.id) }, {capture: true});
		const box = document.getElementById("click").getBoundingClientRect();
		return {X: box.x + box.width / 2, Y: box.y + box.height / 2};
	})()`)
	// The browser learns where a frame is only with its next picture, so the first click may miss it.
	for deadline := time.Now().Add(bound); time.Now().Before(deadline); {
		p.do(chromedp.MouseClickXY(outer.X+inner.X, outer.Y+inner.Y))
		if evalIn[bool](p.t, f, `new Promise(done => setTimeout(() => done(clicks > 0), 100))`) {
			return
		}
	}
	p.t.Errorf("%s was never clicked", f.name)
}

// TestAttemptsFrame has HTML that tries to leave its frame, or to confuse it.
func TestAttemptsFrame(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `
display({"text/html": '''<p class="name">cover</p><style>
    html, body, * { position: fixed !important; inset: 0 !important; z-index: 2147483647 !important; width: 9999vw;
        height: 9999999px !important; background: red !important }</style>'''}, raw=True)
display({"text/html": '<p class="name">grow</p><div style="height: calc(100vh + 50px)">x</div>'}, raw=True)
display({"text/html": '''<p class="name">clobber</p><form id="parent"><input name="body"><input name="remove"></form>
    <img name="body"><img name="documentElement"><img name="head"><img id="Element"><form name="createElement"></form>
    <a id="requestAnimationFrame"></a><div style="height: 200px">x</div>'''}, raw=True)
display({"text/html": '<p class="name">hidden</p><style>body { display: none }</style>'}, raw=True)
display({"text/HTML": "<script>window.pwned=1</script>other case"}, raw=True)
display({"text/markdown": "<img src=x onerror='window.pwned=1'>[a](javascript:alert(1))"}, raw=True)
display({"text/latex": "$<img src=x onerror='window.pwned=1'>$"}, raw=True)
display({"application/javascript": "window.pwned=1"}, raw=True)
display({"application/json": {"<img src=x onerror='window.pwned=1'>": ["</script><script>window.pwned=1</script>"]}},
    raw=True)
display({"image/svg+xml": PAYLOADS[-1]}, raw=True)
display({"text/plain": PAYLOADS[0]}, raw=True)
`, fields{"entry": "cell"})
	p := a.tab
	p.await(`document.querySelectorAll(".display").length === 11`)
	p.await(`(() => {
		const empty = [...document.querySelectorAll(".display")].find(each => each.children.length < 2);
		empty?.scrollIntoView();
		return empty === undefined;
	})()`)
	p.await(`document.querySelectorAll("iframe").length === 4`)
	p.await(`document.querySelectorAll(".picture img").length === 1`)
	p.await(`document.querySelector(".picture img").naturalWidth === 120`)
	p.awaitText(".displays", "<script>window.pwned=1</script>other case")
	p.awaitText(".displays", "[a](javascript:alert(1))")
	p.awaitText(".displays", "$<img src=x onerror='window.pwned=1'>$")
	heights := func() string {
		// The second one grows until its bound.
		return eval[string](p, `[0, 2, 3].map(each => document.querySelectorAll("iframe")[each].clientHeight).join()`)
	}
	p.await(`document.querySelectorAll("iframe")[2].clientHeight > 200`)
	a.check("displays of other types")

	// Messages of other windows, and of another shape, change nothing.
	before := heights()
	p.do(chromedp.Evaluate[chromedp.Void](`
		postMessage({height: 470, ready: true}, "*");
		dispatchEvent(new MessageEvent("message", {data: {height: 470}, source: window}));`))
	clobber := p.frames(4)["clobber"]
	evalIn[bool](t, clobber, `(parent.postMessage({height: "470"}, "*"), parent.postMessage({height: NaN}, "*"),
		parent.postMessage({height: -5e9}, "*"),
		parent.postMessage(null, "*"), parent.postMessage("height", "*"), true)`)
	evalIn[bool](t, clobber, `(parent.postMessage({height: 1e12}, "*"), true)`)
	p.await(`document.querySelectorAll("iframe")[2].clientHeight === 480`)
	evalIn[bool](t, clobber, `(parent.postMessage({height: `+strings.Split(before, ",")[1]+`}, "*"), true)`)
	p.await(`document.querySelectorAll("iframe")[2].clientHeight < 480`)
	if after := heights(); after != before {
		t.Errorf("the frames are %s high, and were %s", after, before)
	}
	// A frame takes HTML once, and cannot reach the page, its storage or the service.
	state := evalIn[string](t, clobber, `(async () => {
		const result = [];
		for (const each of [() => top.document.title, () => localStorage.length, () => sessionStorage.length,
			() => document.cookie, () => parent.location.href, () => indexedDB.open("x")]) {
			try { result.push("read " + each()) } catch (failure) { result.push(failure.name) }
		}
		try { await fetch("/jobs"); result.push("fetched") } catch (failure) { result.push(failure.name) }
		return result.join();
	})()`)
	if want := strings.Repeat("SecurityError,", 6) + "TypeError"; state != want {
		t.Errorf("in the frame: %s, want %s", state, want)
	}
}

// TestAttemptsFramePolicy inserts the payloads into a frame past its script, which removes most of them: the sandbox
// and the policy of the frame hold by themselves.
func TestAttemptsFramePolicy(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `display({"text/html": '<p class="name">bare</p>'}, raw=True)`, fields{"entry": "cell"})
	a.expect("frame-src")
	a.await(`document.querySelector("iframe")?.clientHeight > 30`)
	bare := a.frames(1)["bare"]
	for _, each := range payloads {
		if each.click || each.name == "meta-refresh" || each.name == "base" {
			continue
		}
		evalIn[bool](t, bare, `(document.body.append(document.createRange().createContextualFragment(`+
			quote(each.at(a.canary.URL))+`)), true)`)
	}
	// What the browser starts later than at once would have begun by then.
	const later = `new Promise(done => setTimeout(() => done([window.pwned, document.title].join()), 500))`
	if state := evalIn[string](t, bare, later); state != ",Display of a job" {
		t.Errorf("the frame is %s", state)
	}
	// It cannot lead itself, or the page, away. The browser shows its own error page in its place.
	meta := payloads[slices.IndexFunc(payloads, func(each payload) bool { return each.name == "meta-refresh" })]
	evalIn[bool](t, bare, `(() => {
		try { top.location = `+quote(a.canary.URL+"/fired/top")+` } catch (failure) { }
		open(`+quote(a.canary.URL+"/fired/open")+`);
		document.head.append(document.createRange().createContextualFragment(`+quote(meta.at(a.canary.URL))+`));
		return true;
	})()`)
	eval[bool](a.tab, `new Promise(done => setTimeout(() => done(true), 1000))`)
	if requests := a.canary.requests(); len(requests) > 0 {
		t.Errorf("the frame reached the server: %q", requests)
	}
	state := eval[string](a.tab, `[window.pwned, location.pathname, document.querySelectorAll("iframe").length].join()`)
	if state != ",/console,1" {
		t.Errorf("the page is %s", state)
	}
}

// TestAttemptsFrameFromOutside opens the frame, and the pages, from elsewhere.
func TestAttemptsFrameFromOutside(t *testing.T) {
	t.Parallel()
	c := startCanary(t)
	c.pages["/outer"] = `<!doctype html><title>outer</title><script>
		window.messages = []; onmessage = event => messages.push(event.data); window.loads = 0;
	</script>` + fmt.Sprintf(`<iframe src="%[1]s/ui/frame.html" onload="loads++"></iframe>
		<iframe src="%[1]s/" onload="loads++"></iframe>
		<iframe src="%[1]s/console" onload="loads++"></iframe>`, open.URL)
	c.pages["/control"] = `<!doctype html><title>inner</title><script>parent.postMessage("loaded", "*")</script>`
	c.pages["/outer-control"] = strings.ReplaceAll(c.pages["/outer"],
		`src="`+open.URL+`/ui/frame.html"`, `src="/control"`)

	p := visit(t, open.URL, "/console", lightView)
	p.expect("frame-ancestors")
	p.do(chromedp.Navigate(c.URL + "/outer-control"))
	p.await(`loads === 3 && messages.length === 1`)
	p.do(chromedp.Navigate(c.URL + "/outer"))
	p.await(`loads === 3`)
	if messages := eval[int](p, `messages.length`); messages > 0 {
		t.Errorf("a page of another origin frames ours, which sent %d messages", messages)
	}

	// By itself, the frame shows nothing, and takes no HTML from any window.
	direct := visit(t, open.URL, "/ui/frame.html", lightView)
	state := eval[string](direct, `(async () => {
		postMessage({html: "<p>x</p>"}, "*");
		await new Promise(done => { addEventListener("message", () => setTimeout(done)); postMessage("last", "*") });
		return [self.origin, document.body.children.length].join();
	})()`)
	if state != "null,0" {
		t.Errorf("the frame by itself is %s", state)
	}
}
