package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const token = "the-token-behind-the-proxy"

// service has two replicas and two workers behind proxy.
var (
	service *stack.Stack
	proxy   *nginx
)

func TestMain(m *testing.M) { stack.Main(m, "proxy", run) }

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cellblock-proxy-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	programs, err := stack.FindOrBuild(ctx, os.Getenv("PROXY_PROGRAMS"), dir)
	if err != nil {
		return 1, err
	}
	api := stack.Env{
		"API_TOKEN": token, "TRUSTED_PROXIES": "127.0.0.1/32", "ALLOWED_HOSTS": host, "AUDIT_FILE": dir + "/audit.log",
	}
	worker := stack.Env{"WORKER_CONCURRENCY": "2", "PRELOAD": "", "PRELOAD_ON_DEMAND": ""}
	defer func() { err = errors.Join(err, stack.StopAll(service)) }()
	service, err = stack.Start(ctx, stack.Config{Programs: programs, API: api, Workers: []stack.Env{worker, worker}})
	if err != nil {
		return 1, err
	}
	url, _, err := service.StartReplica(ctx, api)
	if err != nil {
		return 1, err
	}
	auditFile = api["AUDIT_FILE"]
	replicas := []string{strings.TrimPrefix(service.URL, "http://"), strings.TrimPrefix(url, "http://")}
	starting, cancel := context.WithTimeout(ctx, stack.Scaled(bound))
	defer cancel()
	if proxy, err = startNginx(starting, dir, replicas); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, proxy.stop()) }()
	return m.Run(), nil
}

// answer is a response.
type answer struct {
	status, protocol int
	header           http.Header
	body, jobID      string
}

// send sends a request through the proxy, with header lines as names and values in turn.
func send(t *testing.T, c *http.Client, method, path, body string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		ID string `json:"job_id"`
	}
	_ = json.Unmarshal(content, &job) // not all bodies are JSON
	return answer{response.StatusCode, response.ProtoMajor, response.Header, string(content), job.ID}
}

// script returns the body of a request for a job.
func script(source string, more ...string) string {
	quoted, _ := json.Marshal(source)
	return `{"script":` + string(quoted) + strings.Join(append([]string{""}, more...), ",") + `}`
}
