package web

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestJobOutputLive shows what a job prints while it runs. The output follows its end until the user scrolls up.
func TestJobOutputLive(t *testing.T) {
	t.Parallel()
	id := as(t, open, "").start(`import sys, time
def main():
    for i in range(300):
        print("line", i, "x" * (i % 90))
    print("careful", file=sys.stderr)
    sys.stdout.flush()
    for i in range(300, 330):
        print("line", i)
        time.sleep(0.1)
`, nil)
	p := visit(t, open.URL, "/console#job="+id, lightView)
	const box = `document.querySelector(".stdout .scroll")`
	const distance = `(` + box + `.scrollHeight - ` + box + `.scrollTop - ` + box + `.clientHeight)`
	p.awaitText(".stderr", "careful")
	p.awaitText(".stdout", "line 302")
	p.await(distance + ` < 4`)
	p.do(chromedp.Evaluate[chromedp.Void](box + `.scrollTop = 0`))
	p.awaitText(".stdout", "Follow the end")
	if at := eval[float64](p, box+`.scrollTop`); at != 0 {
		t.Errorf("the output moved to %v", at)
	}
	p.do(chromedp.Click(chromedp.CSS(".stdout .head button")))
	p.await(distance + ` < 4`)
	p.awaitText(".stdout", "line 329")
	p.awaitText(".stdout", "330 lines")
	p.await(distance + ` < 4`)
}

// TestJobOutputLarge measures how long the page is busy with outputs of a megabyte each.
func TestJobOutputLarge(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"lines":    `"line %d <b>&amp; text" % i + "\n"`,
		"one line": `"x" * 1000`,
		"empty":    `"\n" * 1000`,
		"control":  `"\x1b[31m\x00\u202e" * 100`,
	} {
		id := runJob(t, `import sys
def main():
    for stream in sys.stdout, sys.stderr:
        size = 0
        i = 0
        while size < 1_100_000:
            text = `+line+`
            stream.write(text)
            size += len(text.encode())
            i += 1
`, nil)
		p := visit(t, open.URL, "/console#job="+id, lightView)
		p.await(`document.querySelectorAll(".stream .cut").length === 2`)
		took := eval[float64](p, `performance.now()`)
		p.do(chromedp.Evaluate[chromedp.Void](`for (const box of document.querySelectorAll(".stream .scroll"))
			box.scrollTop = box.scrollHeight`))
		frame := eval[float64](p, `new Promise(done => {
			const start = performance.now();
			requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
		})`)
		t.Logf("%s: shown after %.0f ms, scrolled to the end in %.0f ms", name, took, frame)
		if frame > 5_000 {
			t.Errorf("%s: the page is busy for %.0f ms", name, frame)
		}
		p.awaitText(".stdout", "stdout is cut")
	}
}

// TestJobResultLarge measures how long the page is busy with a result of four megabytes.
func TestJobResultLarge(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]string{
		"numbers": `[i / 2 for i in range(450_000)]`,
		"records": `[{"n": i, "half": i / 2, "name": "x" * 20} for i in range(60_000)]`,
		"text":    `"line \"of\" text\n" * 200_000`,
		"members": `{f"key {i}": {"a": [i]} for i in range(120_000)}`,
	} {
		p := visit(t, open.URL, "/console#job="+runJob(t, "def main():\n    return "+result+"\n", nil), lightView)
		p.await(`document.querySelector(".result :is(.tree, .table, .text)")`)
		t.Logf("%s: shown after %.0f ms", name, eval[float64](p, `performance.now()`))
		if name == "text" {
			continue
		}
		p.clickText("JSON")
		p.await(`document.querySelector(".result .chunk")`)
		start := eval[float64](p, `new Promise(done => {
			const start = performance.now();
			requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
		})`)
		t.Logf("%s: as JSON, busy for %.0f ms", name, start)
	}
}
