package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// readyBound is the timeout for the start of each part. A machine that runs other suites at the same time is slow.
var readyBound = Scaled(30 * time.Second)

// Env is a set of environment variables, on top of PATH and HOME.
type Env map[string]string

// Config selects the parts of a stack.
type Config struct {
	Programs Programs
	// API are the API's settings. Start chooses its address.
	API Env
	// Workers are the settings of each worker; none starts no worker. A REDIS_URL in them, or in API, can lead through
	// a proxy.
	Workers []Env
	// Redis are further arguments of redis-server.
	Redis []string
	// OnRedis, if not nil, is called with the URL of Redis before anything else starts.
	OnRedis func(url string)
}

// Stack is a running service. Its owner calls Stop.
type Stack struct {
	// URL is the API's URL, without a slash at the end.
	URL string
	// RedisURL is the URL of its Redis.
	RedisURL string
	// Redis and API are the processes, for tests that kill or pause them.
	Redis, API *Process

	config Config
	dir    string

	mu      sync.Mutex
	workers []*Process
	started int
	// apis are those that AddAPI started.
	apis []*Process
}

// Start starts a stack and returns once every worker is up. It needs root, like the worker, and redis-server on PATH.
func Start(ctx context.Context, config Config) (_ *Stack, err error) {
	// Not t.TempDir: a socket's path is limited to 107 bytes.
	dir, err := os.MkdirTemp("", "cellblock-stack-")
	if err != nil {
		return nil, err
	}
	s := &Stack{config: config, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	if s.Redis, s.RedisURL, err = startRedis(ctx, dir, config.Redis...); err != nil {
		return nil, err
	}
	if config.OnRedis != nil {
		config.OnRedis(s.RedisURL)
	}
	if err := s.startAPI(ctx); err != nil {
		return nil, err
	}
	for _, env := range config.Workers {
		if _, err := s.launchWorker(env); err != nil {
			return nil, err
		}
	}
	if err := s.awaitWorkers(ctx, len(config.Workers)); err != nil {
		return nil, err
	}
	return s, s.checkSandboxes(ctx)
}

// checkSandboxes fails if a worker uses another kind of sandbox than its settings ask for. On a machine that does not
// allow warm sandboxes a worker falls back to cold ones, and a test of warm sandboxes would pass without them.
func (s *Stack) checkSandboxes(ctx context.Context) error {
	for i, p := range s.Workers() {
		want := cmp.Or(s.config.Workers[i]["SANDBOX"], "warm")
		kind := ""
		err := p.await(ctx, "making sandboxes", func() bool {
			kind = p.Logged("sandboxes ready", "kind", nil) // the log may come later than the heartbeat
			return kind != ""
		})
		if err != nil {
			return err
		}
		if kind != want {
			return fmt.Errorf("%s makes %q sandboxes, want %q; it wrote:\n%s", p.Name, kind, want, p.Log())
		}
	}
	return nil
}

// StartWorker adds a worker and returns once it is up.
func (s *Stack) StartWorker(ctx context.Context, env Env) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	live, err := s.liveWorkers()
	if err != nil {
		return nil, err
	}
	p, err := s.launchWorker(env)
	if err != nil {
		return nil, err
	}
	return p, s.awaitWorkers(ctx, live+1)
}

// RestartAPI starts the API again, at the same address. It must have exited.
func (s *Stack) RestartAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	return s.startAPI(ctx)
}

// RestartRedis starts Redis again, with its files. It must have exited.
func (s *Stack) RestartRedis(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	s.Redis, _, err = startRedis(ctx, s.dir, s.config.Redis...)
	return err
}

// Workers returns all workers started so far, including dead ones.
func (s *Stack) Workers() []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.workers)
}

// Stop stops the workers, the API and Redis, in this order, and removes the stack's files. The error has the name and
// the output of each process whose exit status was not 0.
func (s *Stack) Stop() error {
	var errs []error
	for _, p := range slices.Concat(s.Workers(), s.apis, []*Process{s.API, s.Redis}) {
		if p == nil {
			continue
		}
		if err := p.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("%w; it wrote:\n%s", err, p.Log()))
		}
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// Logs returns the output of the API and the workers, for the report of a failure.
func (s *Stack) Logs() string {
	var b strings.Builder
	for _, p := range append([]*Process{s.API}, s.Workers()...) {
		if p == nil {
			continue
		}
		fmt.Fprintf(&b, "--- %s\n%s", p.Name, p.Log())
	}
	return b.String()
}

// AddAPI starts one more API process, with settings of its own, and returns its URL once it listens.
func (s *Stack) AddAPI(ctx context.Context, env Env) (url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	p, err := start(fmt.Sprintf("api-%d", len(s.apis)+2), s.config.Programs.API, nil, //nolint:mnd // the first is API
		environment(s.shared(), env, Env{"API_ADDR": "127.0.0.1:0"}))
	if err != nil {
		return "", err
	}
	s.apis = append(s.apis, p)
	err = p.await(ctx, "listening", func() bool { url = p.Logged("listening", "addr", nil); return url != "" })
	return "http://" + url, err
}

func (s *Stack) startAPI(ctx context.Context) (err error) {
	addr := "127.0.0.1:0"
	if s.URL != "" {
		addr = strings.TrimPrefix(s.URL, "http://")
	}
	s.API, err = start("api", s.config.Programs.API, nil,
		environment(s.shared(), s.config.API, Env{"API_ADDR": addr}))
	if err != nil {
		return err
	}
	return s.API.await(ctx, "listening", func() bool {
		if addr := s.API.Logged("listening", "addr", nil); addr != "" {
			s.URL = "http://" + addr
			_, err := s.liveWorkers()
			return err == nil
		}
		return false
	})
}

// shared returns the settings that the API and the workers must share.
func (s *Stack) shared() Env {
	return Env{
		"REDIS_URL": s.RedisURL,
		"FILES_URL": "file://" + s.FilesDir() + "?create_dir=true&no_tmp_dir=true&metadata=skip",
	}
}

// FilesDir is the folder with the output files of jobs.
func (s *Stack) FilesDir() string { return filepath.Join(s.dir, "files") }

func (s *Stack) launchWorker(env Env) (*Process, error) {
	return s.LaunchWorker(s.config.Programs.Worker, env)
}

// LaunchWorker adds a worker that runs the given program, and returns at once.
func (s *Stack) LaunchWorker(program string, env Env) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	p, err := start(fmt.Sprintf("worker-%d", s.started), program, nil,
		environment(Env{"METRICS_ADDR": "", "ENVIRONMENTS_DIR": filepath.Join(s.dir, "environments")}, s.shared(), env))
	if err == nil {
		s.workers = append(s.workers, p)
	}
	return p, err
}

// awaitWorkers waits until the API reports n workers, or the last one exits.
func (s *Stack) awaitWorkers(ctx context.Context, n int) error {
	workers := s.Workers()
	if n == 0 || len(workers) == 0 {
		return nil
	}
	return workers[len(workers)-1].await(ctx, "reported", func() bool {
		live, err := s.liveWorkers()
		return err == nil && live >= n
	})
}

// liveWorkers asks the API for the number of workers.
func (s *Stack) liveWorkers() (int, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(s.URL + "/readyz")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET /readyz: %s", response.Status)
	}
	var ready struct {
		Workers int `json:"workers"`
	}
	return ready.Workers, json.Unmarshal(body, &ready)
}

// environment merges the sets; later ones override earlier ones. Of the caller's settings, only the place of the
// sandbox's Python is included.
func environment(sets ...Env) []string {
	all := Env{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")}
	if prefix := os.Getenv("CELLBLOCK_PREFIX"); prefix != "" {
		all["CELLBLOCK_PREFIX"] = prefix
	}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	var env []string
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// Attach returns a service that is already running: only its URL is known, and Stop does nothing.
func Attach(url string) *Stack { return &Stack{URL: strings.TrimSuffix(url, "/")} }

// StartRedis starts a stack of Redis only, for tests that need nothing else.
func StartRedis(ctx context.Context) (*Stack, error) {
	dir, err := os.MkdirTemp("", "cellblock-stack-")
	if err != nil {
		return nil, err
	}
	s := &Stack{dir: dir}
	if s.Redis, s.RedisURL, err = startRedis(ctx, dir); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}
