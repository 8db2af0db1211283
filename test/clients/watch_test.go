package clients

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"cellblock/api"
	"cellblock/client"
)

const speaking = `import sys, time
def main():
    print("first")
    print("err", file=sys.stderr)
    time.sleep(%s)
    print("second")
    return "given"
`

func printingFor(seconds string) string { return strings.Replace(speaking, "%s", seconds, 1) }

func TestWatchStreamsWhileTheJobRuns(t *testing.T) {
	c := newClient(t)
	job, err := c.Submit(testContext(t), client.Request{Script: printingFor("1")})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[client.EventKind]string{}
	var middle string
	var last client.Event
	for event, err := range c.Watch(testContext(t), job.JobID) {
		if err != nil {
			t.Fatal(err)
		}
		if texts[event.Kind] += event.Text; event.Text == "first\n" {
			middle = event.ID
			if now, err := c.Get(testContext(t), job.JobID); err != nil || now.Status != api.JobStatusRunning {
				t.Errorf("when the first line came, the job was %+v, %v", now, err)
			}
		}
		last = event
	}
	if texts[client.EventStdout] != "first\nsecond\n" || texts[client.EventStderr] != "err\n" {
		t.Errorf("received %q", texts)
	}
	if last.Kind != client.EventEnd || string(last.Job.Result) != `"given"` || *last.Job.Stdout != "first\nsecond\n" {
		t.Errorf("the end is %+v", last)
	}
	rest := ""
	for event, err := range c.Watch(testContext(t), job.JobID, client.After(middle)) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == client.EventStdout {
			rest += event.Text
		}
	}
	if rest != "second\n" {
		t.Errorf("after the first line came %q", rest)
	}
	for event, err := range c.Watch(testContext(t), job.JobID, client.After(last.ID)) {
		t.Errorf("after the end came %+v, %v", event, err)
	}
	for _, err := range c.Watch(testContext(t), "no-such-job") {
		if client.CodeOf(err) != client.CodeNotFound {
			t.Errorf("the error is %v", err)
		}
	}
}

// cuttingTransport breaks off the first few long responses after some bytes each.
type cuttingTransport struct {
	cuts  atomic.Int32
	bytes int64
}

func (c *cuttingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && c.cuts.Add(-1) >= 0 {
		response.Body = &cutBody{ReadCloser: response.Body, left: c.bytes}
	}
	return response, err
}

type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// cuttingClient returns a client whose next cuts responses break off after bytes each.
func cuttingClient(t *testing.T, cuts int32, bytes int64) *client.Client {
	t.Helper()
	transport := &cuttingTransport{bytes: bytes}
	transport.cuts.Store(cuts)
	c, err := client.New(service.URL, client.WithToken(token),
		client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return c
}

func TestBrokenWatchLosesAndRepeatsNothing(t *testing.T) {
	job, err := newClient(t).Submit(testContext(t), client.Request{Script: `import time
def main():
    for i in range(30):
        print("line", i)
        time.sleep(0.03)
`})
	if err != nil {
		t.Fatal(err)
	}
	received := ""
	var last client.Event
	for event, err := range cuttingClient(t, 2, 500).Watch(testContext(t), job.JobID) {
		if err != nil {
			t.Fatal(err)
		}
		received, last = received+event.Text, event
	}
	if last.Kind != client.EventEnd || received != *last.Job.Stdout || strings.Count(received, "\n") != 30 {
		t.Errorf("received %q, and at the end %+v", received, last.Job)
	}
}

// lines reads a program's output, line by line.
type lines struct {
	*bufio.Scanner
	t *testing.T
}

func (l lines) next() string {
	l.t.Helper()
	if !l.Scan() {
		l.t.Fatalf("no line came: %v", l.Err())
	}
	return l.Text()
}

// startCommand starts the program and returns its standard output. end sends it a signal if that is not nil, waits
// until it has exited, and returns the result.
func startCommand(t *testing.T, stdin string, words ...string) (out lines, end func(signal os.Signal) programResult) {
	t.Helper()
	cmd := command(t, nil, words...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out = lines{Scanner: bufio.NewScanner(stdout), t: t}
	var once sync.Once
	finish := func(signal os.Signal) (e programResult) {
		once.Do(func() {
			if signal != nil {
				_ = cmd.Process.Signal(signal)
			}
			for out.Scan() {
				e.stdout += out.Text() + "\n"
			}
			_ = cmd.Wait()
			e.stderr, e.status = stderr.String(), cmd.ProcessState.ExitCode()
		})
		return e
	}
	t.Cleanup(func() { finish(os.Kill) })
	return out, finish
}

func runningJobs(t *testing.T) (ids []string) {
	t.Helper()
	for job, err := range newClient(t).List(testContext(t), client.ListOptions{Status: api.JobStatusRunning}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.JobID)
	}
	return ids
}

func TestTheCommandShowsLinesWhileTheJobRuns(t *testing.T) {
	out, end := startCommand(t, printingFor("2"), "run", "-", "--watch")
	if line := out.next(); line != "first" {
		t.Errorf("the first line is %q", line)
	}
	if len(runningJobs(t)) == 0 {
		t.Error("when the first line came, the job had ended")
	}
	if got, want := end(nil), (programResult{stdout: "second\n\"given\"\n", stderr: "err\n"}); got != want {
		t.Errorf("got %+v", got)
	}
}

var cancelling = regexp.MustCompile(`cancelling job (\S+) `)

func TestCtrlCCancelsTheJob(t *testing.T) {
	for signal, status := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		out, end := startCommand(t, printingFor("12"), "run", "-", "--watch")
		out.next()
		got := end(signal)
		found := cancelling.FindStringSubmatch(got.stderr)
		if got.status != status || found == nil {
			t.Fatalf("got %+v", got)
		}
		if job, err := newClient(t).Wait(testContext(t), found[1]); client.CodeOf(err) != client.CodeCancelled {
			t.Errorf("the job is %+v, %v", job, err)
		}
	}
}

// A service that does not answer the cancellation does not block the program.
func TestASecondCtrlCLeavesAtOnce(t *testing.T) {
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // to detect that the client disconnects
		switch asked <- r.Method + " " + r.URL.Path; {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"job_id":"j","status":"queued"}`)
		case r.URL.Path == "/readyz":
			_, _ = io.WriteString(w, `{"status":"ready","workers":1}`)
		default:
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	cmd := command(t, []string{"CELLBLOCK_URL=" + server.URL}, "run", "-")
	cmd.Stdin = strings.NewReader("def main(): pass")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for want := range strings.SplitSeq("POST /execute,GET /readyz,GET /jobs/j,DELETE /jobs/j", ",") {
		if got := <-asked; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if strings.Contains(want, "/jobs/j") {
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %s", cmd.ProcessState)
	}
}

// The API is restarted while one client watches and another waits.
func TestRestartedAPIEndsNoJob(t *testing.T) {
	script := "import time\ndef main():\n    for i in range(60):\n        print(i)\n        time.sleep(0.05)\n"
	waits, err := newClient(t).Submit(testContext(t), client.Request{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	ctx, c := testContext(t), newClient(t)
	go func() {
		_, err := c.Wait(ctx, waits.JobID)
		waited <- err
	}()
	out, end := startCommand(t, script, "run", "-", "--watch")
	out.next()
	if err := service.API.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := service.RestartAPI(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := end(nil); got.status != 0 || got.stderr != "" || strings.Count(got.stdout, "\n") != 59 ||
		!strings.HasPrefix(got.stdout, "1\n2\n") {
		t.Errorf("the watch gave %+v", got)
	}
	if err := <-waited; err != nil {
		t.Errorf("the wait gave %v", err)
	}
}
