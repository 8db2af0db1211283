package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellblock/client"
	"cellblock/test/stack"
)

// bound is longer than any step takes, even on a busy machine.
const bound = 30 * time.Second

// auditFile has the audit log of both replicas.
var auditFile string

// TestJob runs a job through the proxy, by HTTP/2.
func TestJob(t *testing.T) {
	t.Parallel()
	got := send(t, proxy.client("127.0.0.7"), "POST", "/execute", script("def main():\n    return 6 * 7"))
	if got.status != 200 || !strings.Contains(got.body, `"result":42`) || got.protocol != 2 {
		t.Errorf("HTTP/%d: %d %s", got.protocol, got.status, got.body)
	}
	if got.header.Get("Strict-Transport-Security") == "" {
		t.Error("browsers may come back without TLS")
	}
}

// TestPagesAndAgents reads the pages, and calls a tool as agents do.
func TestPagesAndAgents(t *testing.T) {
	t.Parallel()
	c := proxy.client("127.0.0.7")
	for _, path := range []string{"/", "/console", "/docs", "/openapi.yaml", "/healthz", "/readyz"} {
		if got := send(t, c, "GET", path, "", "Authorization", ""); got.status != 200 || got.body == "" {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	got := send(t, c, "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+
		`{"name":"run_python","arguments":{"code":"6*7"}}}`,
		"Accept", "application/json, text/event-stream", "Mcp-Protocol-Version", "2025-11-25")
	if got.status != 200 || !strings.Contains(got.body, "42") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestLiveOutputArrivesLive reads a line that a job printed while the job still runs, by both versions of HTTP.
func TestLiveOutputArrivesLive(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		c := proxy.client("127.0.0.7")
		if version == 1 {
			withoutHTTP2(c)
		}
		job := send(t, c, "POST", "/execute", script("import time\ndef main():\n    print('first', flush=True)\n"+
			"    time.sleep(12)", `"async":true`))
		lines, closeStream := watch(t, c, job.jobID)
		for seen := false; !seen && lines.Scan(); {
			seen = strings.Contains(lines.Text(), "first")
		}
		if state := send(t, c, "GET", "/jobs/"+job.jobID, ""); !strings.Contains(state.body, `"status":"running"`) {
			t.Errorf("HTTP/%d: the line came after the job: %s", version, state.body)
		}
		closeStream()
		send(t, c, "DELETE", "/jobs/"+job.jobID, "")
	}
}

// watch opens the events of a job.
func watch(t *testing.T, c *http.Client, id string) (lines *bufio.Scanner, closeStream func()) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/jobs/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.Do(request) //nolint:bodyclose // by closeStream
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(response.Body), func() { _ = response.Body.Close() }
}

func withoutHTTP2(c *http.Client) {
	transport, _ := c.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2 = false
}

// TestUpload uploads the largest file that the API takes, and gets the API's own answer for a larger one.
func TestUpload(t *testing.T) {
	t.Parallel()
	c := proxy.client("127.0.0.7")
	content := strings.Repeat("0123456789abcdef", 1<<20)
	got := send(t, c, "POST", "/files?name=large.bin", content, "Content-Type", "application/octet-stream")
	if got.status != 201 || !strings.Contains(got.body, "16777216") {
		t.Errorf("%d %s", got.status, got.body)
	}
	got = send(t, c, "POST", "/files?name=larger.bin", content+"x", "Content-Type", "application/octet-stream")
	if got.status != 413 || !strings.Contains(got.body, `"code":"input_too_large"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestClientCannotForgeItsAddress reads the audit log after requests that claim other addresses.
func TestClientCannotForgeItsAddress(t *testing.T) {
	t.Parallel()
	for _, header := range [][2]string{
		{"X-Forwarded-For", "192.0.2.66"},
		{"X-Forwarded-For", "192.0.2.66, 127.0.0.1"},
		{"X-Real-Ip", "192.0.2.66"},
		{"Forwarded", "for=192.0.2.66"},
	} {
		got := send(t, proxy.client("127.0.0.9"), "GET", "/jobs?limit=1", "", header[0], header[1])
		id := got.header.Get("X-Request-Id")
		line := auditLine(t, id)
		if id == "" || !strings.Contains(line, `"client":"127.0.0.9"`) {
			t.Errorf("%v: %s", header, line)
		}
	}
}

// auditLine waits for the line of a request.
func auditLine(t *testing.T, requestID string) string {
	t.Helper()
	deadline := time.Now().Add(stack.Scaled(bound))
	for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		content, _ := os.ReadFile(auditFile)
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, `"request_id":"`+requestID+`"`) {
				return line
			}
		}
	}
	t.Fatalf("the audit log has no line of %q", requestID)
	return ""
}

// TestOnlyTLS is redirected from HTTP, and refused under another name.
func TestOnlyTLS(t *testing.T) {
	t.Parallel()
	c := proxy.client("127.0.0.7")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rebound.example/execute?a=b", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	to := response.Header.Get("Location")
	if response.StatusCode != http.StatusPermanentRedirect || to != "https://"+host+"/execute?a=b" {
		t.Errorf("%d to %q", response.StatusCode, to)
	}
	conn, err := tls.Dial("tcp", proxy.secure, &tls.Config{
		ServerName: "rebound.example", InsecureSkipVerify: true,
	})
	if err == nil {
		_ = conn.Close()
		t.Error("there is a certificate for any name")
	}
}

// TestHeadersAreBounded gets an answer for headers that are too large; by HTTP/2, nginx closes the connection instead.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	c := proxy.client("127.0.0.7")
	withoutHTTP2(c)
	for length, status := range map[int]int{8 << 10: 200, 14 << 10: 400} {
		if got := send(t, c, "GET", "/jobs?limit=1", "", "X-Long", strings.Repeat("x", length)); got.status != status {
			t.Errorf("%d bytes: %d, want %d", length, got.status, status)
		}
	}
}

// TestCertificateIsReplaced reloads nginx with a new certificate while a job is watched and requests go on.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	c := proxy.client("127.0.0.7")
	service, err := client.New("https://"+host, client.WithToken(token), client.WithHTTPClient(c),
		client.WithAttempts(1)) // so that a broken stream is seen
	if err != nil {
		t.Fatal(err)
	}
	job, err := service.Submit(t.Context(), client.Request{
		Script: "import time\ndef main():\n    print('before', flush=True)\n    time.sleep(3)\n    print('after')",
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	for event, err := range service.Watch(t.Context(), job.JobID) {
		if err != nil {
			t.Fatal(err)
		}
		seen += fmt.Sprint(event)
		if strings.Contains(seen, "before") && serial(t) == 1 {
			if err := proxy.writeCertificate(2); err != nil {
				t.Fatal(err)
			}
			if err := proxy.process.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			awaitSerial(t, 2)
		}
	}
	if !strings.Contains(seen, "after") || serial(t) != 2 {
		t.Errorf("the stream had %s; the certificate is number %d", seen, serial(t))
	}
}

// serial returns the number of the certificate that a new connection gets.
func serial(t *testing.T) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", proxy.secure, &tls.Config{ServerName: host, RootCAs: proxy.authority.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func awaitSerial(t *testing.T, want int64) {
	t.Helper()
	for deadline := time.Now().Add(stack.Scaled(bound)); serial(t) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("new connections get the certificate number %d", serial(t))
		}
	}
}
