package web

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cellblock/test/stack"
)

// ownStack starts a service for one test.
func ownStack(t *testing.T, config stack.Config) *stack.Stack {
	t.Helper()
	config.Programs = programs
	s, err := stack.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil && !t.Failed() {
			t.Log(err) // processes that the test has killed
		}
	})
	return s
}

func TestPlaygroundSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := ownStack(t, stack.Config{Workers: []stack.Env{{"WORKER_CONCURRENCY": "1", "METRICS_ADDR": "127.0.0.1:0"}}})
	p := openPlayground(t, s.URL, lightView)
	p.expect("net::ERR_")
	p.write("import time\ndef main():\n    print('before')\n    time.sleep(5)\n    return 'all of it'\n")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".output", "before")
	s.API.Kill()
	if err := s.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.awaitStatus("Succeeded")
	p.awaitText(".output", "all of it")
	if got := eval[int](p, `document.querySelector(".output").innerText.split("before").length - 1`); got != 1 {
		t.Errorf("the output has its first line %d times", got)
	}

	s.API.Kill()
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".refusal", "Check that the service runs")
	p.checkAccessibility()
	if err := s.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.clickButton("Run again")
	p.awaitStatus("Succeeded")

	p.expect("status of 503")
	s.Redis.Kill()
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitText(".refusal", "unavailable")
	p.awaitText(".refusal", "Run again in")
}

func TestPlaygroundWithAFullQueue(t *testing.T) {
	t.Parallel()
	s := ownStack(t, stack.Config{API: stack.Env{"QUEUE_LIMIT": "1"}})
	p := openPlayground(t, s.URL, lightView)
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.awaitStatus("Queued")
	other := openPlayground(t, s.URL, lightView)
	other.expect("status of 429")
	other.press(kb.Enter, chromedp.ModifierCtrl)
	other.awaitText(".refusal", "queue_full")
	other.awaitText(".refusal", "Run again in")

	p.press(kb.Escape)
	p.awaitStatus("Cancelled")
	other.clickButton("Run again")
	other.awaitStatus("Queued")
	other.clickButton("Cancel")
	other.awaitStatus("Cancelled")
}
