package web

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestAttemptsPlayground has payloads in everything that a link brings to the playground, and in what a script makes of
// it: arguments, standard input, environment variables, output, result and displays.
func TestAttemptsPlayground(t *testing.T) {
	t.Parallel()
	c := startCanary(t)
	p := openPlayground(t, open.URL, lightView)
	a := attempt{tab: p, watch: watchTab(p, t.TempDir()), canary: c, url: open.URL + "/"}
	all := htmlAt(c.URL)
	listed, err := json.Marshal(fields{"payloads": append(all, svgAt(c.URL))})
	if err != nil {
		t.Fatal(err)
	}
	p.write("# " + strings.Join(all, "\n# ") + `
import os, sys
def main(payloads):
    for each in payloads:
        print(each)
    print(sys.stdin.read(), os.environ["MODE"], file=sys.stderr)
    return payloads
`)
	p.clickButton("Options")
	p.fill("option-args", string(listed))
	p.fill("option-stdin", strings.Join(all, "\n"))
	p.fill("option-env", "MODE="+all[2])
	p.run("Succeeded")
	a.has(".stdout", asIs)
	p.awaitText(".stderr", all[2])
	a.check("a run in the playground")
	for _, panel := range []string{"History", "Copy as", "Share"} {
		p.clickButton(panel)
		p.await(`document.querySelector("#panel")?.textContent.length > 20`)
		a.check("the panel " + panel)
	}
	p.await(`document.querySelector(".link input")?.value.includes("#s1=")`)
	link := eval[string](p, `document.querySelector(".link input").value`)

	other := visit(t, link, "", lightView)
	other.awaitEditor()
	b := attempt{tab: other, watch: watchTab(other, t.TempDir()), canary: c}
	b.origin = open.URL
	other.awaitText(".chips", "script>")
	b.url = eval[string](other, "location.href")
	b.check("a link")
}
