package web

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// mine is a script of the user.
const mine = "def main():\n    return 'mine, ümlaut 東 \\\\ \"quoted\"'\n"

// reload loads the page again.
func (p *tab) reload() {
	p.t.Helper()
	p.do(chromedp.Reload())
	p.awaitEditor()
}

// awaitScript waits until the editor has a text.
func (p *tab) awaitScript(script string) {
	p.t.Helper()
	p.await(editorText + ` === ` + quote(script))
}

func TestPlaygroundKeepsTheScript(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.clickButton("Options")
	p.fill("option-args", `{"n": 1}`)
	p.fill("option-env", "SECRET=hunter2")
	p.reload()
	p.awaitScript(mine)
	p.awaitText(".chips", `args {"n": 1}`)
	p.awaitText(".chips", "env SECRET")
	p.clickButton("Options")
	if got := eval[string](p, `document.getElementById("option-env").value`); got != "SECRET=hunter2" {
		t.Errorf("a reload of the tab left %q of the variables", got)
	}
	if stored := eval[string](p, `JSON.stringify(localStorage)`); strings.Contains(stored, "hunter2") {
		t.Errorf("the value of a variable is stored beyond the tab: %s", stored)
	}
}

func TestPlaygroundNamesFilesThatDoNotStay(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	data := filepath.Join(t.TempDir(), "data.csv")
	if err := os.WriteFile(data, []byte("1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.drop(data)
	p.awaitText(".chips", "data.csv")
	p.reload()
	p.awaitText(".notice", "Add the file data.csv")
	p.checkAccessibility()

	p.example("Files in")
	p.awaitText(".chips", "sales.csv")
	p.reload() // the files of an example are there again
	p.awaitText(".chips", "sales.csv")
	p.await(`!document.querySelector(".notice")`)
}

func TestPlaygroundExamplesLoseNothing(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.example("arguments")
	p.awaitText(".notice", "in the history")
	p.awaitText(".chips", "entry script")
	p.checkAccessibility()
	p.clickButton("Undo")
	p.awaitScript(mine)
	p.await(`!document.querySelector(".chips")`)

	p.example("Files in")
	p.awaitText(".chips", "sales.csv")
	p.example("Numbers")
	p.await(`!document.querySelector(".chips")`)
	p.clickButton("History")
	p.awaitText("#panel", "not run")
	p.clickButton("not run")
	p.awaitScript(mine)
}

func TestPlaygroundHistory(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.run("Succeeded")
	p.write("def main():\n    return 1 / 0\n")
	p.run("Failed")
	p.write("import sys\nprint(sys.argv)\n")
	p.clickButton("Options")
	p.choose("[name=entry][value=script]", "")
	p.fill("option-argv", "a b\nc")
	p.run("Succeeded")
	p.awaitText(".output", "['script.py', 'a b', 'c']")
	p.reload()
	p.clickButton("History")
	p.await(`document.querySelectorAll("#panel li").length === 3`)
	p.awaitText("#panel", "exception")
	p.clickButton("exception")
	p.awaitScript("def main():\n    return 1 / 0\n")
	p.await(`!document.querySelector(".chips")`)

	p.clickButton("History")
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#panel li button").click()`))
	p.awaitScript("import sys\nprint(sys.argv)\n")
	p.awaitText(".chips", "entry script")
	p.run("Succeeded")
	p.awaitText(".output", "['script.py', 'a b', 'c']")

	p.clickButton("History")
	p.clickButton("Clear the history")
	p.awaitText("#panel", "No runs yet")
	p.clickButton("Undo")
	p.awaitText("#panel", "exception")
}

// When storage is full, the page works, and the newest runs stay.
func TestPlaygroundWithFullStorage(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.do(chromedp.Evaluate[chromedp.Void](`(() => {
		for (let size = 1 << 20; size >= 1; size = size >> 1) {
			try {
				for (let i = 0; ; i++) localStorage.setItem("other-" + size + "-" + i, "x".repeat(size));
			} catch {}
		}
	})()`))
	p.write(mine)
	p.run("Succeeded")
	p.awaitText(".notice", "does not store the script")
	p.clickButton("History")
	p.awaitText("#panel", "succeeded")
}

func TestPlaygroundLink(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write(mine)
	p.clickButton("Options")
	p.choose("[name=entry][value=script]", "")
	p.fill("option-argv", `["--flag", "two words"]`)
	p.fill("option-stdin", "line\n")
	p.fill("option-env", "SECRET=hunter2")
	p.fill("option-memory_mb", "64")
	p.clickButton("Share")
	p.await(`document.querySelector(".link input")?.value.includes("#s1=")`)
	link := eval[string](p, `document.querySelector(".link input").value`)
	_, fragment, _ := strings.Cut(link, "#")
	p.awaitText("#panel", "With the environment variables (SECRET)")

	other := visit(t, link, "", lightView)
	other.awaitEditor()
	other.awaitScript(mine)
	for _, chip := range []string{"entry script", `args ["--flag", "two words"]`, "stdin line", "memory 64 MiB"} {
		other.awaitText(".chips", chip)
	}
	if text := other.text(); strings.Contains(text, "SECRET") {
		t.Errorf("the link has the environment variable: %s", text)
	}
	other.awaitText(".notice", "came with a link")
	other.awaitText(".output", "Press Run")
	other.checkAccessibility()
	other.reload()
	other.awaitScript(mine)

	// An edit makes the script the user's own, and the address no longer claims to have it.
	other.write("def main():\n    return 'edited'\n")
	other.await(`location.hash === ""`)
	other.reload()
	other.awaitScript("def main():\n    return 'edited'\n")

	// A link in a tab with a script of the user's own leaves a way back.
	other.do(chromedp.Evaluate[chromedp.Void](`location.hash = ` + quote("#"+fragment)))
	other.awaitScript(mine)
	other.clickButton("Back to mine")
	other.awaitScript("def main():\n    return 'edited'\n")
	other.do(chromedp.Evaluate[chromedp.Void](`location.hash = ` + quote("#"+fragment)))
	other.awaitScript(mine)
	other.do(chromedp.Navigate("about:blank"), chromedp.Navigate(open.URL+"/"))
	other.awaitEditor()
	other.awaitScript("def main():\n    return 'edited'\n")
}

// What a link has is text.
func TestPlaygroundHostileLink(t *testing.T) {
	t.Parallel()
	hostile := "</script><img src=x onerror=alert(1)>\u202e\u001b]0;x\a"
	p := openPlayground(t, open.URL, lightView)
	p.write("'" + hostile + "'\n")
	p.clickButton("Options")
	for _, id := range []string{"option-args", "option-stdin", "option-env", "option-labels", "option-wall_seconds"} {
		p.fill(id, hostile)
	}
	p.clickButton("Share")
	p.await(`document.querySelector(".link input")?.value.includes("#s1=")`)
	link := eval[string](p, `document.querySelector(".link input").value`)

	other := visit(t, link, "", lightView)
	other.awaitEditor()
	other.awaitText(".chips", "<img src=x")
	other.await(`document.querySelectorAll(".chips .symbol").length > 0`)
	other.await(editor + `.querySelectorAll(".cm-specialChar").length > 0`)
	other.press(kb.Enter, chromedp.ModifierCtrl)
	other.awaitText(".problem", "not JSON")
	for _, panel := range []string{"Copy as", "Share", "Options"} {
		other.clickButton(panel)
		other.await(`document.querySelector("#panel section")?.ariaLabel === ` + quote(panel))
		if eval[bool](other, `document.querySelector("main img, main script") !== null`) {
			t.Errorf("a text of the link became HTML in %s", panel)
		}
	}
	other.checkAccessibility()
}

func TestPlaygroundBadLinks(t *testing.T) {
	t.Parallel()
	for fragment, message := range map[string]string{
		"#s1=":                                "damaged",
		"#s1=AAAA":                            "damaged",
		"#s1=%3Cimg":                          "damaged",
		"#s9=AAAA":                            "later version",
		"#s1=" + strings.Repeat("A", 100_000): "too long",
	} {
		p := visit(t, open.URL, "/"+fragment, lightView)
		p.awaitText(".notice", message)
		p.awaitEditor()
		if script := p.script(); !strings.Contains(script, "primes") {
			t.Errorf("after a bad link the page has %q", script)
		}
	}
}

func TestPlaygroundFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := "<b>né & \"q\".csv"
	for file, content := range map[string]string{
		"a.bin": "\x00\xff\r\nx", name: "1,2\n", "large.bin": strings.Repeat("0123456789abcdef", 3<<16),
		"too large.bin": strings.Repeat("x", 17<<20),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := openPlayground(t, open.URL, lightView)
	p.write("import os\ndef main():\n" +
		"    names = sorted(n for n in os.listdir() if '.' in n[1:] and n != 'script.py')\n" +
		"    return [[n, os.path.getsize(n), open(n, 'rb').read()[:5].hex()] for n in names]\n")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{filepath.Join(dir, "a.bin")}))
	p.awaitText(".chips", "a.bin 5 bytes")
	p.drop(filepath.Join(dir, name))
	p.awaitText(".chips", name)
	if eval[bool](p, `document.querySelector(".chips b") !== null`) {
		t.Error("the name of a file became HTML")
	}
	p.run("Succeeded")
	p.awaitText(".output", "00ff0d0a78")
	p.awaitText(".output", "312c320a")

	// A large one makes the request a form.
	p.clickButton("Remove " + name)
	p.drop(filepath.Join(dir, "large.bin"))
	p.awaitText(".chips", "large.bin 3 MiB")
	p.run("Succeeded")
	p.awaitText(".output", "3145728")
	p.awaitText(".output", "00ff0d0a78")

	p.drop(filepath.Join(dir, "too large.bin"))
	p.awaitText(".notice", "too large.bin has 17 MiB; a run takes at most 16 MiB")
	p.clickButton("Remove large.bin")
	p.clickButton("Remove a.bin")
	p.await(`!document.querySelector(".chips")`)
	p.run("Succeeded")
	p.drop(dir)
	p.awaitText(".notice", "Folders cannot be added")
}

// drop drags a file over the page and drops it there.
func (p *tab) drop(path string) {
	p.t.Helper()
	event := func(kind input.DispatchDragEventType) chromedp.Action[chromedp.Void] {
		return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, input.DispatchDragEvent, input.DispatchDragEventParams{
				Type: kind, X: 300, Y: 300,
				Data: &input.DragData{Items: []*input.DragDataItem{}, Files: []string{path}, DragOperationsMask: 1},
			})
			return err
		})
	}
	p.do(event(input.DispatchDragEventTypeDragEnter), event(input.DispatchDragEventTypeDragOver))
	p.awaitText(".drop", "Drop the files")
	p.do(event(input.DispatchDragEventTypeDrop))
	p.await(`!document.querySelector(".drop")`)
}

func TestPlaygroundSendsTheOptions(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.write("import os, resource, sys\ndef main(n, big=0):\n" +
		"    print('main got', n + 1, big, repr(sys.stdin.read()), os.environ['MODE'])\n")
	p.clickButton("Options")
	p.fill("option-args", `{"n": 41, "big": 12345678901234567890123}`)
	p.fill("option-stdin", "typed\n")
	p.fill("option-env", "MODE=a=b c\n\nOTHER=")
	p.fill("option-labels", "example.com/run=playground")
	p.fill("option-wall_seconds", "2.5")
	p.await(`document.querySelectorAll("#option-environment option").length > 1`)
	p.choose("#option-environment", "default")
	p.awaitText("#panel", "Python 3.")
	p.awaitText("#panel", "pandas")
	p.run("Succeeded")
	p.awaitText(".output", `main got 42 12345678901234567890123 'typed\n' a=b c`)
	p.awaitText(".output", "of 2.5 s")
	p.awaitText(".output", "example.com/run")
	p.clickButton("Options")
	p.awaitText("#open-options", "6 changed")

	p.clickButton("Options")
	p.clickButton("Reset the options")
	p.write("import time\ndef main():\n    time.sleep(9)\n")
	p.fill("option-wall_seconds", "0.3")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitStatus("Failed")
	p.awaitText(".output", "timeout")
}
