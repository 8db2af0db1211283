package web

import (
	"context"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// editor is the editable part of the playground's editor, in its shadow root.
const editor = `document.querySelector(".editor-host").shadowRoot.querySelector(".cm-content")`

// editorText is its text.
const editorText = `[...` + editor + `.querySelectorAll(".cm-line")].map(line => line.textContent).join("\n")`

// openPlayground opens the playground in a tab, and waits for its editor.
func openPlayground(t *testing.T, origin string, look view) *tab {
	t.Helper()
	p := visit(t, origin, "/", look)
	p.awaitEditor()
	return p
}

// awaitEditor waits until the page shows a script.
func (p *tab) awaitEditor() {
	p.t.Helper()
	p.await(`document.querySelector(".editor-host")?.shadowRoot && ` + editor + `.textContent !== ""`)
}

// script returns the text of the editor.
func (p *tab) script() string {
	p.t.Helper()
	return eval[string](p, editorText)
}

// write replaces the text of the editor, as a paste.
func (p *tab) write(script string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](editor + `.focus()`))
	p.press("a", chromedp.ModifierCtrl)
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.setData("text/plain", %s);
		const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
		%s.dispatchEvent(paste);
	})()`, quote(script), editor)))
}

// press presses a key, such as kb.Enter, with modifiers. Unlike chromedp.KeyEvent it sends one event for the key and
// its character, as a keyboard does: a page that handles the key gets no character.
func (p *tab) press(key string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	character, _ := utf8.DecodeRuneInString(key)
	events := kb.Encode(character)
	down, up := *events[0], *events[len(events)-1]
	for _, modifier := range modifiers {
		down.Modifiers |= int64(modifier)
		up.Modifiers |= int64(modifier)
	}
	if len(events) > 2 && len(modifiers) == 0 {
		down.Text = events[1].Text
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, down); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, up)
		return err
	}))
}

// clickButton clicks the button whose text or label begins with a text.
func (p *tab) clickButton(label string) {
	p.t.Helper()
	button := fmt.Sprintf(`[...document.querySelectorAll("button, summary")].find(each => each.checkVisibility() &&
		(each.getAttribute("aria-label") ?? each.textContent).trim().startsWith(%s))`, quote(label))
	p.await(button)
	p.do(chromedp.Evaluate[chromedp.Void](button + `.click()`))
}

// fill types into the field of an id. Long text is set at once: typing it takes the browser minutes.
func (p *tab) fill(id, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`document.getElementById(%s)`, quote(id)))
	long := ""
	if len(text) > 10_000 {
		long, text = text, ""
	}
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const field = document.getElementById(%s);
		field.focus();
		field.value = %s;
		field.dispatchEvent(new InputEvent("input", {bubbles: true}));
	})()`, quote(id), quote(long))), typed(text))
}

// typed inserts text where the focus is.
func typed(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
}

// choose chooses an option of a select or a radio button by its value.
func (p *tab) choose(selector, value string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`document.querySelector(%s)`, quote(selector)))
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const field = document.querySelector(%s);
		if (field.type === "radio") return field.click();
		field.value = %s;
		field.dispatchEvent(new Event("change", {bubbles: true}));
	})()`, quote(selector), quote(value))))
}

// example chooses an example by a part of its title.
func (p *tab) example(title string) {
	p.t.Helper()
	value := eval[string](p, fmt.Sprintf(`[...document.querySelectorAll("[aria-label=Examples] option")]
		.find(each => each.textContent.includes(%s)).value`, quote(title)))
	p.choose("[aria-label=Examples]", value)
}

// awaitStatus waits until the page, or its job, has a status.
func (p *tab) awaitStatus(text string) {
	p.t.Helper()
	p.await(`[...document.querySelectorAll(".output [role=status]")].some(each => each.textContent.includes(` +
		quote(text) + `))`)
}

// run runs what is on the page with the keyboard, and waits for the end with a status, such as "Succeeded".
func (p *tab) run(status string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](editor + `.focus()`))
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitStatus(status)
	p.await(`!document.querySelector(".elapsed")`)
}
