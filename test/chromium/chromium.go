// Package chromium starts Debian's Chromium for tests.
package chromium

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"
)

// startBound is how long the browser may take to start on a busy machine.
const startBound = 2 * time.Minute

// Start starts Chromium with a profile below dir. For it every name below .example leads to this machine. It returns
// the context of the browser, in which chromedp.NewContext opens tabs; stop waits for the browser's end.
func Start(dir string) (browser context.Context, stop func() error, err error) {
	path := ""
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, nil, errors.New("no Chromium on PATH; install Debian's chromium-headless-shell")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(dir+"/profile"),
		chromedp.NoSandbox, // it refuses to start as root otherwise; the pages are ours
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"),
		// Sandboxed frames have a process of their own, as in Chromium; in the headless shell only if it is asked for.
		chromedp.Flag("enable-features", "NetworkService,NetworkServiceInProcess,IsolateSandboxedIframes"),
		chromedp.Flag("site-per-process", true),
		chromedp.WSURLReadTimeout(startBound),
	)...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	stop = func() error {
		defer cancel()
		defer closeBrowser()
		return chromedp.Cancel(browser)
	}
	if err := chromedp.Do(browser); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", path, err), stop())
	}
	return browser, stop, nil
}
