package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestPlaygroundRuns(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.awaitText(".output", "Press Run")
	p.write("def main():\n    print('hello from here')\n    return {'answer': 6 * 7}\n")
	p.run("Succeeded")
	p.awaitText(".output", "hello from here")
	p.awaitText(".output", "42")

	p.write("def main():\n    return 'by the button'\n")
	p.clickButton("Run")
	p.awaitText(".output", "by the button")
}

func TestPlaygroundRunsEveryExample(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	for _, each := range []struct{ title, status, shows string }{
		{"Numbers", "Succeeded", "found 17 primes"},
		{"table of pandas", "Succeeded", "Bergen"},
		{"figure", "Succeeded", "figure-1.png"},
		{"Files in", "Succeeded", "totals.csv"},
		{"cell", "Succeeded", "Earth"},
		{"arguments", "Succeeded", "the"},
		{"An error", "Failed", "ZeroDivisionError"},
		{"Live", "Succeeded", "step 8 of 8"},
	} {
		p.example(each.title)
		p.run(each.status)
		p.awaitText(".output", each.shows)
	}
}

func TestPlaygroundShowsOutputWhileTheScriptRuns(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write("import time\ndef main():\n    print('first line')\n    time.sleep(14)\n")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".output", "first line")
	if got := eval[bool](p, `document.querySelector(".elapsed") !== null`); !got {
		t.Error("the output was shown only after the end")
	}
	p.awaitStatus("Running")

	p.do(chromedp.Evaluate[chromedp.Void](editor + `.focus()`))
	p.press(kb.Escape)
	p.awaitStatus("Cancelled")
	p.awaitText(".output", "first line")
	// The Escape that cancelled has kept its meaning in the editor as well.
	p.press(kb.Tab)
	if got := p.script(); strings.Contains(got, "    \n") || eval[bool](p, editor+`.matches(":focus")`) {
		t.Errorf("Escape, Tab did not leave the editor: %q", got)
	}
}

func TestPlaygroundMarksTheLineOfAnError(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	marked := `document.querySelector(".editor-host").shadowRoot.querySelector(".error-line")`
	message := `document.querySelector(".editor-host").shadowRoot.querySelector(".error-message")`
	for _, each := range []struct{ script, entry, line, message string }{
		{"def f(x):\n    return 1 / x\n\ndef main():\n    f(0)\n", "main", "    return 1 / x", "ZeroDivisionError"},
		{"def main():\n    return ]\n", "main", "    return ]", "^"},
		{"x = 1\nprint(undefined_name)\n", "script", "print(undefined_name)", "NameError"},
		{"x = 1\n[][x]\n", "cell", "[][x]", "IndexError"},
	} {
		p.write(each.script)
		if !eval[bool](p, `document.querySelector("#panel [value=main]") !== null`) {
			p.clickButton("Options")
		}
		p.choose("[name=entry][value="+each.entry+"]", "")
		p.run("Failed")
		p.await(marked + `?.textContent === ` + quote(each.line))
		if got := eval[string](p, message+`.textContent`); !strings.Contains(got, each.message) {
			t.Errorf("the message is %q, want %q", got, each.message)
		}
	}
	p.do(chromedp.Evaluate[chromedp.Void](editor+`.focus()`), typed("#"))
	p.await(`!` + marked)
}

func TestPlaygroundOffersOtherEntries(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write("print('top level')\n")
	p.run("Failed")
	p.clickButton("Run as a script")
	p.awaitStatus("Succeeded")
	p.awaitText(".output", "top level")
	p.awaitText(".chips", "entry script")
}

func TestPlaygroundAsksForTheToken(t *testing.T) {
	t.Parallel()
	p := visit(t, closed.URL, "/", lightView)
	p.expect("status of 401")
	p.awaitEditor()
	p.write("def main():\n    return 'with a token'\n")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".output", "token")
	p.await(`document.activeElement?.id === "token"`)
	p.checkAccessibility()

	p.do(typed("a wrong one"))
	p.press(kb.Enter)
	p.awaitText("header", "refused this token")
	p.await(`document.activeElement?.id === "token"`)
	p.do(typed(operatorsToken))
	p.press(kb.Enter)
	p.awaitText(".output", "with a token")
	for _, place := range []string{"location.href", "JSON.stringify(localStorage)", "document.cookie"} {
		if strings.Contains(eval[string](p, place), operatorsToken) {
			t.Errorf("the token is in %s", place)
		}
	}
}

func TestPlaygroundExplainsARefusal(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.expect("status of 4")
	p.write("def main():\n    return 1\n")
	p.clickButton("Options")
	p.fill("option-wall_seconds", "10000")
	p.run("Not run")
	p.awaitText(".refusal", "wall_seconds")
	p.awaitText(".refusal", "under Options")
	p.checkAccessibility()

	p.fill("option-wall_seconds", "none")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitStatus("Wall time is a number")
	p.await(`document.activeElement?.id === "option-wall_seconds" && document.activeElement.ariaInvalid === "true"`)
	p.checkAccessibility()
	p.fill("option-wall_seconds", "")
	p.fill("option-args", "[1]")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText("#problem-args", "JSON object")

	p.fill("option-args", "")
	p.write("x = '" + strings.Repeat("y", 52000) + "'\ndef main():\n    return 1\n")
	p.run("Not run")
	p.awaitText(".refusal", "51200")
	p.awaitText(".refusal", "Shorten the script")
}
