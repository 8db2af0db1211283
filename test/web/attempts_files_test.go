package web

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestAttemptsFiles has files whose names, types and contents are HTML and pictures with scripts. They are saved on a
// click, and never shown as documents.
func TestAttemptsFiles(t *testing.T) {
	t.Parallel()
	a := tryJob(t, `import os
def main():
    os.makedirs("outputs")
    html = "<!doctype html>" + PAYLOADS[0]
    for name in ["page.html", "page.svg", "picture.png", "script.js", "page.xhtml",
        "<img src=x onerror=window.pwned=1>",
        "a\u202egnp.exe", "..%2f..\\evil.html", "\"'><svg onload=window.pwned=1>.svg", "javascript:window.pwned=1"]:
        with open("outputs/" + name, "w") as f:
            f.write(PAYLOADS[-1] if name.endswith("svg") else html)
`, nil)
	p := a.tab
	p.await(`document.querySelectorAll(".file").length === 10`)
	p.awaitText(".files", "<img src=x onerror=window.pwned=1>")
	p.await(`document.querySelectorAll(".picture img").length === 2`)
	p.await(`[...document.querySelectorAll(".picture img")].every(each => each.naturalWidth === 120)`)
	p.awaitText(".files", "This is no picture that the browser can show.")
	a.check("files")

	folder := t.TempDir()
	saved := watchTab(p, folder)
	eval[bool](p, `([...document.querySelectorAll(".file")].find(row => row.textContent.includes("page.html"))
		.querySelector("button").click(), true)`)
	p.await(`document.querySelector(".files").textContent.includes("Downloaded")`)
	file := filepath.Join(folder, "page.html")
	content := awaitFile(t, file)
	if !strings.HasPrefix(content, "<!doctype html><script>") {
		t.Errorf("the file that was saved has %q", content)
	}
	saved.mu.Lock()
	if len(saved.downloads) != 1 || saved.downloads[0] != "page.html" {
		t.Errorf("the downloads are %q", saved.downloads)
	}
	saved.downloads = nil
	saved.mu.Unlock()
	a.watch.mu.Lock()
	a.watch.downloads = nil
	a.watch.mu.Unlock()
	a.check("a download")

	// The service does not show it either.
	p.expect("net::ERR_ABORTED")
	if err := os.Remove(file); err != nil { // or the next download gets another name
		t.Fatal(err)
	}
	_ = chromedp.Do(p.ctx, chromedp.Navigate(open.URL+"/jobs/"+a.job+"/files/page.html")) // ends as a download
	// Else it may be written while the folder is removed.
	awaitFile(t, file)
	response, err := http.Head(open.URL + "/jobs/" + a.job + "/files/page.html")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if !strings.HasPrefix(response.Header.Get("Content-Disposition"), "attachment") ||
		response.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the header of the file is %v", response.Header)
	}
	if requests := a.canary.requests(); len(requests) > 0 {
		t.Errorf("the file reached the server: %q", requests)
	}
}

// awaitFile waits until a file is there, and returns its content.
func awaitFile(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(bound); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if content, err := os.ReadFile(path); err == nil && len(content) > 0 {
			return string(content)
		}
	}
	t.Fatalf("no file %s", path)
	return ""
}
