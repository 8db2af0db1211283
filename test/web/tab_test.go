package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"
)

// tab is a tab of the browser with storage of its own, which a test uses alone.
type tab struct {
	t   *testing.T
	ctx context.Context
	// origin is the URL of the service, without a slash at the end.
	origin string

	mu       sync.Mutex
	expected []string
	errors   []string
}

// view is the size of a window and the colours that the system prefers.
type view struct {
	width, height int64
	mobile        bool
	scheme        string // "light" or "dark"
}

var (
	lightView = view{width: 1280, height: 800, scheme: "light"}
	darkView  = view{width: 1280, height: 800, scheme: "dark"}
	phoneView = view{width: 360, height: 740, mobile: true, scheme: "light"}
)

// visit opens a path of a service in a tab. At the end of the test, errors on its console fail the test.
func visit(t *testing.T, origin, path string, look view) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx, origin: origin}
	t.Cleanup(func() {
		closeTab()
		for _, text := range p.unexpected() {
			t.Errorf("the console has an error: %s", text)
		}
	})
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	p.look(look)
	p.do(chromedp.Navigate(origin + path))
	return p
}

// listen collects errors. It must not block.
func (p *tab) listen(event any) {
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		p.note(fmt.Sprint(event.ExceptionDetails.Text, " ", describe(event.ExceptionDetails.Exception)))
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeAssert {
			texts := []string{"console." + string(event.Type)}
			for _, argument := range event.Args {
				texts = append(texts, describe(argument))
			}
			p.note(strings.Join(texts, " "))
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError {
			p.note(event.Entry.Text + " " + event.Entry.URL)
		}
	}
}

// describe returns an object of the page as the browser describes it.
func describe(object *runtime.RemoteObject) string {
	if object == nil {
		return ""
	}
	if object.Description != "" {
		return object.Description
	}
	return string(object.Value)
}

func (p *tab) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = append(p.errors, text)
}

// expect lets errors on the console pass that contain the text, such as "status of 401". Earlier ones pass too: the
// page may be faster than the test.
func (p *tab) expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// unexpected returns the errors that were not expected.
func (p *tab) unexpected() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.errors), func(text string) bool {
		return slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(text, part) })
	})
}

// look sets the size of the window and the preferred colours.
func (p *tab) look(look view) {
	p.t.Helper()
	options := []chromedp.EmulateViewportOption{}
	if look.mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	p.do(chromedp.EmulateViewport(look.width, look.height, options...),
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
			})
			return err
		}))
}

// do performs actions.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, bound)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\nthe page shows:\n%s", err, p.text())
	}
}

// text returns what the page shows, for failures.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, bound)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	if err != nil {
		return err.Error()
	}
	return text
}

// await waits until a JavaScript expression is true.
func (p *tab) await(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, bound)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void]("Boolean("+expression+")",
		chromedp.WithPollingTimeout(0)))
	if err != nil {
		p.t.Fatalf("%s never became true: %v\nthe page shows:\n%s", expression, err, p.text())
	}
}

// awaitText waits until the element of a CSS selector shows a text.
func (p *tab) awaitText(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("document.querySelector(%s)?.textContent.includes(%s)", quote(selector), quote(text)))
}

// eval returns the value of a JavaScript expression, or of the promise that it is.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, bound)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// quote returns a text as a literal of JavaScript.
func quote(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err) // the tests' texts are UTF-8
	}
	return string(literal)
}

// checkAccessibility runs axe-core (WCAG 2.2 A and AA, and best practices) on the page.
func (p *tab) checkAccessibility() {
	p.t.Helper()
	source, err := os.ReadFile("../../web/node_modules/axe-core/axe.min.js")
	if err != nil {
		p.t.Fatal(err)
	}
	p.do(chromedp.Evaluate[chromedp.Void](string(source)))
	violations := eval[[]struct {
		ID    string
		Help  string
		Nodes []struct {
			HTML           string
			FailureSummary string
		}
	}](p, `axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		resultTypes: ["violations"],
	}).then(result => result.violations.map(v => ({
		ID: v.id, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary})),
	})))`)
	for _, violation := range violations {
		for _, node := range violation.Nodes {
			p.t.Errorf("%s: %s\n%s\n%s", violation.ID, violation.Help, node.HTML, node.FailureSummary)
		}
	}
}

// publish is screenshot for a picture of the documents: with WEB_SCREENSHOTS set, it goes to docs/images.
func (p *tab) publish(name string) {
	p.t.Helper()
	if os.Getenv("WEB_SCREENSHOTS") != "" {
		p.saveScreenshot("../../docs/images", name)
		return
	}
	p.screenshot(name)
}

// screenshot writes a picture of the window to .cache/web-screenshots.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	p.saveScreenshot("../../.cache/web-screenshots", name)
}

// saveScreenshot writes a picture of the window to a folder.
func (p *tab) saveScreenshot(folder, name string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, bound)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
