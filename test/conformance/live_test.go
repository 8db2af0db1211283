package conformance

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// watchResult is what one watcher received.
type watchResult struct {
	states         []string
	stdout, stderr string
	pieces         []stack.Event
	end            answer
}

func (w *watchResult) add(t *testing.T, event stack.Event) {
	t.Helper()
	var data struct{ Status, Text string }
	if event.Name != "end" {
		if err := json.Unmarshal([]byte(event.Data), &data); err != nil {
			t.Fatal(err)
		}
	}
	switch event.Name {
	case "state":
		w.states = append(w.states, data.Status)
	case "stdout":
		w.stdout += data.Text
		event.Data = data.Text
		w.pieces = append(w.pieces, event)
	case "stderr":
		w.stderr += data.Text
	case "end":
		if err := json.Unmarshal([]byte(event.Data), &w.end); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("an event is called %q", event.Name)
	}
}

// watch watches a job with curl, as docs/api.md does.
func watch(t *testing.T, url, id, last string) *watchResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientBound)
	defer cancel()
	args := []string{"-sNf", url + "/jobs/" + id + "/events"}
	if last != "" {
		args = append(args, "-H", "Last-Event-ID: "+last)
	}
	command := exec.CommandContext(ctx, "curl", args...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watchResult{}
	if err := stack.ReadEvents(out, func(event stack.Event) { w.add(t, event) }); err != nil {
		t.Error(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("curl: %v", err)
	}
	return w
}

// TestLiveOutput: output arrives while the script runs, and all of it together equals the job's
// record. test/bench measures the delay.
func TestLiveOutput(t *testing.T) {
	t.Parallel()
	const script = "import sys, time\ndef main():\n    for i in range(5):\n        print(time.time())\n" +
		"        time.sleep(1)\n    print('é', file=sys.stderr)\n    return 'done'\n"
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		w := watch(t, k.standard.URL, submit(t, k.standard.URL, script).JobID, "")
		checkEqual(t, "last state", w.states[len(w.states)-1], "running")
		checkEqual(t, "result", string(w.end.Result), `"done"`)
		checkEqual(t, "stdout", w.stdout, *w.end.Stdout)
		checkEqual(t, "stderr", w.stderr, "é\n")
		checkEqual(t, "prints", strings.Count(w.stdout, "\n"), 5)
		inTime := 0
		for _, piece := range w.pieces {
			printed, err := time.ParseDuration(strings.TrimSpace(piece.Data) + "s")
			if err == nil && piece.At.Sub(time.Unix(0, 0).Add(printed)) < time.Second/2 {
				inTime++
			}
		}
		// Other suites use the machine too. Without notifications, output would arrive about once a
		// second.
		if inTime < 3 {
			t.Fatalf("%d of 5 prints were seen within half a second: %v", inTime, w.pieces)
		}
		id, last := w.end.JobID, w.pieces[2].ID
		rest := watch(t, k.standard.URL, id, last)
		begin := strings.Join(
			strings.SplitAfter(w.stdout, "\n")[:strings.Count(w.stdout[:len(w.stdout)-len(rest.stdout)], "\n")], "")
		checkEqual(t, "what came before and after", begin+rest.stdout, w.stdout)
		if rest.stdout == w.stdout {
			t.Error("all came again")
		}
	})
}

// TestLiveOutputIsTheOutput: also where it is large, cut, or not UTF-8.
func TestLiveOutputIsTheOutput(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"large and cut": "def main():\n    for i in range(40000):\n        print('é' * 20, i)\n",
		"not UTF-8": "import os, time\ndef main():\n    for i in range(40):\n" +
			"        os.write(1, bytes([0xe2, 0x82][:1 + i % 2]) + b'\\xff' * (i % 5) + b'a' * (i % 3)); " +
			"time.sleep(0.01)\n    os.write(2, b'\\xf0\\x9f')\n",
		"from children": "import subprocess, time\ndef main():\n    time.sleep(0.3)\n" +
			"    subprocess.run(['/bin/echo', 'hello'])\n",
		"of a killed job": "import os, time\ndef main():\n    print('before')\n    time.sleep(0.3)\n" +
			"    os.kill(os.getpid(), 9)\n",
		"of no main":       "import time\nprint('loading')\ntime.sleep(0.3)\nmain = 3\n",
		"with its own cut": "def main():\n    print('é' * 100)\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := map[string]any{"script": script, "async": true}
			if name == "with its own cut" {
				body["limits"] = map[string]any{"output_bytes": 99}
			}
			job := call(t, defaultStack().URL, request{Path: "/execute", Body: encode(t, body)})
			w := watch(t, defaultStack().URL, job.JobID, "")
			end := read(t, defaultStack().URL, job.JobID, "")
			checkEqual(t, "stdout", w.stdout == *end.Stdout, true)
			checkEqual(t, "stderr", w.stderr, *end.Stderr)
			checkEqual(t, "code", w.end.Code, end.Code)
		})
	}
}
