package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

// The tests run the real program and a real Redis. Copies of this test binary stand in for the API and the worker, so
// that tests can make them fail.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "cellblock":
		main()
	case "api":
		standIn(serveReadyz)
	case "worker":
		standIn(beatHeart)
	default:
		goleak.VerifyTestMain(m)
	}
}

// standIn behaves as the variable STANDIN_<name> selects: crash, deaf, or well.
func standIn(work func(ctx context.Context) error) {
	name := filepath.Base(os.Args[0])
	_, hasToken := os.LookupEnv("API_TOKEN")
	_, hasSecret := os.LookupEnv("CALLBACK_SECRET")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	fmt.Printf("%s starts; knows the token: %t, the secret: %t; process %d\n", name, hasToken, hasSecret, os.Getpid())
	switch os.Getenv("STANDIN_" + strings.ToUpper(name)) {
	case "crash":
		fmt.Fprintln(os.Stderr, "no cgroup here")
		os.Exit(7)
	case "deaf":
		ctx = context.WithoutCancel(ctx)
	}
	err := work(ctx)
	asked := ctx.Err() != nil
	stop()
	if err != nil && (!asked || !errors.Is(err, context.Canceled)) { // a heartbeat may be under way at the stop
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(name, "ends")
}

func serveReadyz(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", os.Getenv("API_ADDR"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "{}") })
	server.Handler = mux
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	<-ctx.Done()
	err = server.Close()
	<-served
	return err
}

func beatHeart(ctx context.Context) error {
	client, err := redisconn.Settings{URL: os.Getenv("REDIS_URL"), Password: os.Getenv("REDIS_PASSWORD")}.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	owner := fmt.Sprint("standin-", os.Getpid())
	heart := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Minute})
	if err := heart.Heartbeat(ctx, owner, time.Minute, store.Offer{}); err != nil {
		return err
	}
	<-ctx.Done()
	return heart.RemoveWorker(context.WithoutCancel(ctx), owner)
}

// up is a running `cellblock up` with stand-ins and its own data folder.
type up struct {
	cmd   *exec.Cmd
	lines chan string
	read  []string // the lines so far
}

// programs creates a folder with the three programs, all copies of this test binary.
func programs(t *testing.T) string {
	t.Helper()
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"cellblock", "api", "worker"} {
		if err := os.WriteFile(filepath.Join(dir, name), binary, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func startUp(t *testing.T, dir, data string, env ...string) *up {
	t.Helper()
	if testing.Short() {
		t.Skip("starts redis-server")
	}
	u := &up{cmd: exec.Command(filepath.Join(dir, "cellblock"), "up"), lines: make(chan string, 1000)}
	u.cmd.Env = append(os.Environ(), "API_ADDR=127.0.0.1:0", "METRICS_ADDR=", "REDIS_URL=", "CELLBLOCK_DATA="+data,
		"GORACE=atexit_sleep_ms=0") // otherwise each process takes a second longer to exit
	u.cmd.Env = append(u.cmd.Env, env...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	u.cmd.Stdout, u.cmd.Stderr = writer, writer
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	go func() {
		defer close(u.lines)
		defer reader.Close()
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			u.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = u.cmd.Process.Kill()
		for range u.lines { // closed once every process that holds the pipe has exited
		}
		_ = u.cmd.Wait()
	})
	return u
}

// wait reads up to a line that contains the text.
func (u *up) wait(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-u.lines:
			if !open {
				t.Fatalf("ended without the line %q:\n%s", text, strings.Join(u.read, "\n"))
			}
			u.read = append(u.read, line)
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			t.Fatalf("no line %q within 20 s:\n%s", text, strings.Join(u.read, "\n"))
		}
	}
}

// end reads to the end and returns the exit status.
func (u *up) end(t *testing.T) int {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-u.lines:
			if open {
				u.read = append(u.read, line)
				continue
			}
			err := u.cmd.Wait()
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			return u.cmd.ProcessState.ExitCode()
		case <-late:
			t.Fatalf("did not end within 20 s:\n%s", strings.Join(u.read, "\n"))
		}
	}
}

func (u *up) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := u.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// line returns the index of the first line that matches the pattern; -1 for none.
func (u *up) line(pattern string) int {
	re := regexp.MustCompile(pattern)
	return slices.IndexFunc(u.read, re.MatchString)
}

func (u *up) wantLine(t *testing.T, pattern string) {
	t.Helper()
	if u.line(pattern) < 0 {
		t.Errorf("no line matches %q in:\n%s", pattern, strings.Join(u.read, "\n"))
	}
}

func TestUpServesUntilAskedToEnd(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "state", "cellblock")
	u := startUp(t, programs(t), data, "API_TOKEN=secret", "CALLBACK_SECRET=secret", "WORKERS=2")
	u.wait(t, "try:")
	u.wantLine(t, `^redis \d+\.\d+\.\d+ of our own, jobs kept in `+data)
	u.wantLine(t, `^api      \| api starts; knows the token: true, the secret: true`)
	u.wantLine(t, `^worker-1 \| worker starts; knows the token: false, the secret: false`)
	u.wantLine(t, `^worker-2 \| worker starts; knows the token: false, the secret: false`)
	u.wantLine(t, `^ready: http://127\.0\.0\.1:[1-9]\d* \(Ctrl-C stops it\)`)
	u.wantLine(t, `^try:   curl -sX POST http://127\.0\.0\.1:[1-9]\d*/execute .*Bearer \$\{API_TOKEN%% \*\}"`)

	u.signal(t, syscall.SIGINT)
	if status := u.end(t); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	u.wantLine(t, `^api      \| api ends`)
	u.wantLine(t, `^worker-1 \| worker ends`) // Redis was still up
	u.wantLine(t, `^worker-2 \| worker ends`)
	if _, err := os.Stat(filepath.Join(data, "redis.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Redis did not end well: its socket is there (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(data, "appendonlydir")); err != nil {
		t.Errorf("nothing was kept: %v", err)
	}
}

func TestUpRefusesADataFolderInUse(t *testing.T) {
	t.Parallel()
	dir, data := programs(t), t.TempDir()
	first := startUp(t, dir, data)
	first.wait(t, "ready:")
	second := startUp(t, dir, data)
	if status := second.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	second.wantLine(t,
		fmt.Sprintf("another `cellblock up` \\(process %d\\) uses %s; end it, or set CELLBLOCK_DATA",
			first.cmd.Process.Pid, data))
}

func TestUpRefusesATakenPort(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, name := range []string{"API_ADDR", "METRICS_ADDR"} {
		u := startUp(t, programs(t), t.TempDir(), name+"="+taken.Addr().String())
		if status := u.end(t); status != 1 {
			t.Errorf("exit status %d, want 1", status)
		}
		u.wantLine(t, name+" "+taken.Addr().String()+" is taken: .* set "+name+" to another address")
	}
}

// The addresses are also compared with each other: the API would take the port before the worker starts.
func TestUpRefusesOneAddressForTwo(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	u := startUp(t, programs(t), t.TempDir(), fmt.Sprintf("API_ADDR=127.0.0.1:%d", port+1),
		fmt.Sprintf("METRICS_ADDR=127.0.0.1:%d", port), "WORKERS=2")
	if status := u.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	u.wantLine(t, fmt.Sprintf(`^cellblock: the metrics of worker-2: METRICS_ADDR 127\.0\.0\.1:%d is taken: `+
		`.* set METRICS_ADDR to another address`, port+1))
	if len(u.read) != 1 {
		t.Errorf("something was started first:\n%s", strings.Join(u.read, "\n"))
	}
}

// freePort returns a port that was just free, and so was the next one.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		first.Close()
		if err == nil {
			second.Close()
			return port
		}
	}
	t.Fatal("no two free ports in a row")
	return 0
}

func TestUpEndsWhenAPartBreaks(t *testing.T) {
	t.Parallel()
	u := startUp(t, programs(t), t.TempDir(), "STANDIN_WORKER=crash")
	if status := u.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	u.wantLine(t, `^cellblock: worker ended unexpectedly \(exit status 7\); its last line: no cgroup here`)
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	u := startUp(t, programs(t), t.TempDir(), "STANDIN_WORKER=deaf")
	u.wait(t, "ready:")
	u.signal(t, syscall.SIGINT)
	u.wait(t, "stopping;")
	u.wait(t, "api ends")
	u.signal(t, syscall.SIGINT)
	if status := u.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	u.wantLine(t, `killed worker: asked to stop at once`)
	u.wantLine(t, `^redis  \| .*ready to exit`)
	if u.line("killed redis") >= 0 {
		t.Error("Redis was killed, which ends by itself")
	}
}

func TestNothingOutlivesAKilledUp(t *testing.T) {
	t.Parallel()
	dir, data := programs(t), t.TempDir()
	first := startUp(t, dir, data)
	first.wait(t, "ready:")
	first.signal(t, syscall.SIGKILL)
	first.end(t) // the pipe is closed: all processes have exited
	second := startUp(t, dir, data)
	second.wait(t, "ready:")
}

func TestUpWithAnotherRedis(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client, err := redisconn.Settings{URL: url}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Do(t.Context(), "CONFIG", "SET", "requirepass", "p@ss/word").Err(); err != nil {
		t.Fatal(err)
	}
	u := startUp(t, programs(t), "/proc/no/such/folder", "REDIS_URL="+url, "REDIS_PASSWORD=p@ss/word")
	u.wait(t, "ready:")
	u.wantLine(t, `^redis \d+\.\d+\.\d+ at unix:`)
	u.signal(t, syscall.SIGTERM)
	if status := u.end(t); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

func TestUpWithoutTheNamedRedis(t *testing.T) {
	t.Parallel()
	u := startUp(t, programs(t), t.TempDir(), "REDIS_URL=redis://:secret@127.0.0.1:1/0")
	if status := u.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	u.wantLine(t, `^cellblock: Redis at redis://.*127.0.0.1:1/0 is not ready after 2s: `)
	if u.line("secret") >= 0 {
		t.Error("the password was printed")
	}
}

func TestFurtherWorkersMetricsTakeTheNextPorts(t *testing.T) {
	t.Parallel()
	for first, third := range map[string]string{
		"127.0.0.1:9091": "127.0.0.1:9093",
		"127.0.0.1:0":    "127.0.0.1:0",
		"[::1]:9":        "[::1]:11",
		":9091":          ":9093",
		"nonsense":       "nonsense",
		"":               "",
	} {
		c := upCommand{MetricsAddr: first}
		if got := c.workerMetrics(2); got != third {
			t.Errorf("third worker's metrics for %q at %q, want %q", first, got, third)
		}
	}
}

func TestDataFolderPathTooLongForASocket(t *testing.T) {
	t.Parallel()
	if _, err := newOwnRedis("/" + strings.Repeat("x", maxSocketPath)); err == nil {
		t.Error("taken")
	}
}
