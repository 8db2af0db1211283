package web

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// fragmentOf returns the fragment of a link to the playground that has this JSON, which need not be what the page
// would make.
func fragmentOf(t *testing.T, content string) string {
	t.Helper()
	var buffer bytes.Buffer
	writer, err := flate.NewWriter(&buffer, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return "#s1=" + base64.RawURLEncoding.EncodeToString(buffer.Bytes())
}

// What a link names is data in messages, lists and labels too.
func TestPlaygroundNamesOfLinks(t *testing.T) {
	t.Parallel()
	const override = `\u202e`
	for _, options := range []string{
		`"environment": "a` + override + `b"`,
		`"env": "A` + override + `B=1\nC"`,
		`"entry": "script", "argv": "[\"` + override + `"`,
		`"labels": "` + override + `=1"`,
		`"limits": {"memory_mb": "` + override + `"}`,
	} {
		p := visit(t, open.URL, "/"+fragmentOf(t, `{"script": "def main():\n    pass\n", `+options+`}`), lightView)
		p.awaitEditor()
		p.expect("status of 400") // for the unknown environment
		check := func(where string) {
			t.Helper()
			if shown := eval[bool](p, `/\u202e/.test(document.body.textContent) ||
				[...document.querySelectorAll("#page *")].some(element =>
					[...element.attributes].some(each => each.name !== "value" && /\u202e/.test(each.value)))`); shown {
				t.Errorf("with %s, %s has an override:\n%s", options, where, p.text())
			}
		}
		for _, panel := range []string{"Options", "Share", "Copy as"} {
			p.clickButton(panel)
			p.await(`document.querySelector("#panel section")`)
			check(panel)
		}
		p.clickButton("Run")
		p.await(`document.querySelector(".run-status").textContent !== ""`)
		check("the output")
	}
}

// besides opens a path in another tab of the same user.
func (p *tab) besides(path string) *tab {
	p.t.Helper()
	ctx, closeTab := chromedp.NewContext(p.ctx)
	other := &tab{t: p.t, ctx: ctx, origin: p.origin}
	p.t.Cleanup(closeTab)
	if err := chromedp.Listen(ctx, other.listen); err != nil {
		p.t.Fatal(err)
	}
	other.do(chromedp.Navigate(p.origin + path))
	return other
}

// A tab that is left keeps its script only if it was changed there.
func TestPlaygroundInTwoTabs(t *testing.T) {
	t.Parallel()
	const keptIs = `JSON.parse(localStorage.getItem("cellblock.playground.draft"))?.script === `
	const newer = "def main():\n    return 'newer'\n"
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.await(keptIs + quote(mine))
	other := p.besides("/")
	other.awaitEditor()
	other.awaitScript(mine)
	other.write(newer)
	other.await(keptIs + quote(newer))
	other.do(chromedp.Navigate("about:blank"))
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(open.URL+"/"))
	p.awaitEditor()
	p.awaitScript(newer)
}

// A run of the history takes its list away, but not the focus.
func TestPlaygroundHistoryKeepsTheFocus(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.run("Succeeded")
	p.clickButton("History")
	p.await(`document.querySelector("#panel li button")`)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#panel li button").focus()`),
		chromedp.KeyEvent(kb.Enter))
	p.await(`document.getElementById("panel").hidden`)
	p.await(`document.activeElement.id === "open-history"`)
}
