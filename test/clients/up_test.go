package clients

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellblock/api"
	"cellblock/client"
	"cellblock/test/stack"
)

// TestUpSurvivesAKilledWorker runs `cellblock up` and kills its worker while it runs a job: that job ends as
// worker_lost, and the next job runs on the restarted worker.
func TestUpSurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	up, url := startUp(t)
	service, err := client.New(url)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	ctx := testContext(t)
	running, err := service.Submit(ctx,
		client.Request{Script: "import time\ndef main():\n    print('runs', flush=True)\n    time.sleep(60)\n"})
	if err != nil {
		t.Fatal(err)
	}
	for job := running; job.Status != api.JobStatusRunning; time.Sleep(20 * time.Millisecond) {
		if job, err = service.Get(ctx, running.JobID); err != nil {
			t.Fatal(err)
		}
	}
	queued, err := service.Submit(ctx, client.Request{Script: "def main():\n    return 'ran'\n"})
	if err != nil {
		t.Fatal(err)
	}
	kill(t, up, "worker")
	if job, err := service.Wait(ctx, running.JobID); client.CodeOf(err) != client.CodeWorkerLost {
		t.Errorf("the job under the killed worker: %+v, %v", job, err)
	}
	if job, err := service.Wait(ctx, queued.JobID); err != nil || string(job.Result) != `"ran"` {
		t.Errorf("the job that was queued: %+v, %v", job, err)
	}
}

// startUp starts `cellblock up` with a worker that runs one job at a time, and returns its process and URL. It ends
// with the test.
func startUp(t *testing.T) (up *exec.Cmd, url string) {
	t.Helper()
	folder := t.TempDir()
	for name, target := range map[string]string{"cellblock": program, "api": programs.API, "worker": programs.Worker} {
		if err := os.Link(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	up = exec.Command(filepath.Join(folder, "cellblock"), "up")
	up.Env = []string{
		"PATH=" + os.Getenv("PATH"), "API_ADDR=127.0.0.1:0", "METRICS_ADDR=",
		"CELLBLOCK_DATA=" + filepath.Join(folder, "data"),
		"WORKER_CONCURRENCY=1", "LIMIT_WALL=2m", "DRAIN_TIMEOUT=3m", "LOG_FORMAT=json",
	}
	up.Stderr = os.Stderr
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = up.Process.Signal(syscall.SIGINT)
		var said []string
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		if err := up.Wait(); err != nil {
			t.Errorf("cellblock up: %v; it said\n%s", err, strings.Join(said, "\n"))
		}
	})
	for lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), "ready: "); found {
			url, _, _ = strings.Cut(rest, " ")
			return up, url
		}
	}
	t.Fatal("it ended before it was ready")
	return nil, ""
}

// kill kills one of the processes that up started.
func kill(t *testing.T, up *exec.Cmd, name string) {
	t.Helper()
	for _, pid := range stack.Descendants(up.Process.Pid) {
		if filepath.Base(strings.Fields(stack.CommandLine(pid))[0]) == name {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no %s among the processes", name)
}
