//go:build compose

package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// root is the root of the repository.
const root = "../.."

// version is the tag of the images under test; compose's default tag stays untouched.
const version = "under-test"

// tightLimits returns the settings of a service for the suite's cases with tight limits.
func tightLimits() map[string]string {
	settings := map[string]string{"SYNC_WAIT": "30s", "WORKER_CONCURRENCY": "8"}
	maps.Copy(settings, stack.TightLimits)
	return settings
}

// TestMain builds the images once, or reports what is missing.
func TestMain(m *testing.M) {
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "compose: no Docker daemon can be reached: %v\n%s", err, out)
		os.Exit(1)
	}
	for _, args := range [][]string{{"compose", "build"}, {"compose", "-f", "deploy/compose/single.yml", "build"}} {
		build := command(context.Background(), nil, args...)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "compose: docker %s: %v\n%s", strings.Join(args, " "), err, out)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// command is docker in the repository's folder, with settings and without the caller's other environment.
func command(ctx context.Context, settings map[string]string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Dir = root
	env := map[string]string{"CELLBLOCK_VERSION": version}
	for _, name := range []string{"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG"} {
		if value, set := os.LookupEnv(name); set {
			env[name] = value
		}
	}
	maps.Copy(env, settings)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// docker runs a command and returns its standard output. It fails the test if the command fails.
func docker(t *testing.T, settings map[string]string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := command(ctx, settings, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// project is one `docker compose` project of the repository's files.
type project struct {
	name     string
	files    []string
	settings map[string]string
	url      string
}

// startProject starts a project, removes it after the test, and checks that nothing of it is left.
func startProject(t *testing.T, name string, workers int, settings map[string]string, files ...string) *project {
	t.Helper()
	port := strconv.Itoa(freePort(t))
	p := &project{
		name: "cellblock-test-" + name, files: append([]string{"docker-compose.yml"}, files...),
		settings: map[string]string{"API_PORT": port}, url: "http://127.0.0.1:" + port,
	}
	maps.Copy(p.settings, settings)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.compose(t, "logs", "--no-color", "--tail", "40"))
		}
		p.down(t)
	})
	p.compose(t, "up", "--detach", "--wait", "--wait-timeout", "90", "--scale", fmt.Sprint("worker=", workers))
	awaitWorkers(t, p.url, workers)
	return p
}

func (p *project) compose(t *testing.T, args ...string) string {
	t.Helper()
	all := []string{"compose", "-p", p.name}
	for _, file := range p.files {
		all = append(all, "-f", file)
	}
	return docker(t, p.settings, append(all, args...)...)
}

// down removes the project and checks that nothing is left.
func (p *project) down(t *testing.T) {
	t.Helper()
	containers := strings.Fields(p.compose(t, "ps", "--all", "--quiet"))
	p.compose(t, "down", "--volumes", "--timeout", "40")
	label := "label=com.docker.compose.project=" + p.name
	for _, what := range [][]string{{"ps", "--all"}, {"volume", "ls"}, {"network", "ls"}} {
		if left := docker(t, nil, append(what, "--quiet", "--filter", label)...); left != "" {
			t.Errorf("docker %s: left is %s", strings.Join(what, " "), left)
		}
	}
	checkNoCgroups(t, containers)
}

// checkNoCgroups checks that the containers' cgroups are gone, if the daemon is on this machine.
func checkNoCgroups(t *testing.T, containers []string) {
	t.Helper()
	for _, id := range containers {
		for _, pattern := range []string{
			"docker/%s*", "*/docker/%s*", "system.slice/docker-%s*",
			"*/system.slice/docker-%s*",
		} {
			left, err := filepath.Glob("/sys/fs/cgroup/" + fmt.Sprintf(pattern, id))
			if err != nil || len(left) > 0 {
				t.Errorf("cgroups are left: %v %v", left, err)
			}
		}
	}
}

// startSingle runs the all-in-one image; the container is removed after the test.
func startSingle(t *testing.T, name string, flags []string, settings map[string]string) (url string) {
	t.Helper()
	port := strconv.Itoa(freePort(t))
	name = "cellblock-test-" + name
	args := []string{"run", "--detach", "--name", name, "--publish", "127.0.0.1:" + port + ":8080"}
	for setting, value := range settings {
		args = append(args, "--env", setting+"="+value)
	}
	args = append(append(args, flags...), "cellblock:"+version)
	id := strings.TrimSpace(docker(t, nil, args...))
	t.Cleanup(func() {
		docker(t, nil, "kill", "--signal", "INT", name) // as Ctrl-C does
		if code := strings.TrimSpace(docker(t, nil, "wait", name)); code != "0" || t.Failed() {
			t.Errorf("it ended with %s:\n%s", code, logs(t, name))
		}
		docker(t, nil, "rm", "--force", "--volumes", name)
		checkNoCgroups(t, []string{id})
	})
	url = "http://127.0.0.1:" + port
	workers := 1
	if n, err := strconv.Atoi(settings["WORKERS"]); err == nil {
		workers = n
	}
	awaitWorkers(t, url, workers)
	return url
}

// logs returns the whole output of a container.
func logs(t *testing.T, container string) string {
	t.Helper()
	out, err := command(context.WithoutCancel(t.Context()), nil, "logs", container).CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// answer has the fields of a response that these tests check.
type answer struct {
	HTTPStatus int             `json:"-"`
	Body       string          `json:"-"`
	JobID      string          `json:"job_id"`
	Status     string          `json:"status"`
	Code       string          `json:"code"`
	Result     json.RawMessage `json:"result"`
	Workers    int             `json:"workers"`
}

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

func call(t *testing.T, method, url string, body any) (a answer, err error) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		return a, err
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	a.HTTPStatus, a.Body = response.StatusCode, string(content)
	return a, json.Unmarshal(content, &a)
}

// post sends a script; later returns before its end.
func post(t *testing.T, url, script string, later bool) answer {
	t.Helper()
	a, err := call(t, http.MethodPost, url+"/execute", map[string]any{"script": script, "async": later})
	if err != nil {
		t.Fatal(err)
	}
	if later && a.HTTPStatus != http.StatusAccepted {
		t.Fatalf("not accepted: %s", a.Body)
	}
	return a
}

// awaitEnd waits for the end of a job.
func awaitEnd(t *testing.T, url, id string, within time.Duration) answer {
	t.Helper()
	for deadline := time.Now().Add(within); ; {
		a, err := call(t, http.MethodGet, url+"/jobs/"+id+"?wait=10s", nil)
		if err == nil && slices.Contains([]string{"succeeded", "failed", "cancelled"}, a.Status) {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s has no end after %v: %v %s", id, within, err, a.Body)
		}
	}
}

func awaitWorkers(t *testing.T, url string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d workers report at %s", n, url), time.Minute, func() bool {
		a, err := call(t, http.MethodGet, url+"/readyz", nil)
		return err == nil && a.Workers >= n
	})
}

func eventually(t *testing.T, what string, within time.Duration, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !happened(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// runConformance runs the suite against a service, and its twin with tight limits.
func runConformance(t *testing.T, url, tightURL string, cgroups bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=6m", "-parallel=6",
		"./test/conformance")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CONFORMANCE_URL="+url, "CONFORMANCE_TIGHT_URL="+tightURL)
	if !cgroups {
		cmd.Env = append(cmd.Env, "CONFORMANCE_CGROUPS=none")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
