package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const (
	// floodConnections is how many connections a flood opens.
	floodConnections = 8000
	// floodStreams is the number of event streams that are not read, of floodJobs jobs with large records.
	floodStreams, floodJobs = 1000, 20
	// honestTimeout is how long an honest client repeats a refused request.
	honestTimeout = 90 * time.Second
	// floodScript has a record of 6 MB, and honestScript a result of 3.9 MB.
	floodScript = "import sys\ndef main():\n    sys.stdout.write('x' * 1048000)\n" +
		"    sys.stderr.write('y' * 1048000)\n    return 'z' * 3900000\n"
	honestScript = "def main(): return 'z' * 3900000\n"
)

// flood is what one flood costs the API and an honest client.
type flood struct {
	Name string `json:"name"`
	// Clients is the number of the flood's clients, and Addresses that of their addresses.
	Clients   int `json:"clients"`
	Addresses int `json:"addresses"`
	// HonestMS is how long an honest client took to receive a result of 3.9 MB, or after a flood of connections to run
	// a job, refusals included. Refused counts those.
	HonestMS float64 `json:"honest_ms"`
	Refused  int     `json:"honest_refused"`
	// RSSBytes is the most that the API had resident.
	RSSBytes int64 `json:"resident_bytes"`
}

// floods measures each flood against a fresh API process.
type floods struct {
	stack *stack.Stack
	// floodIDs are jobs with large records, and honestID is the job whose result the honest client reads.
	floodIDs []string
	honestID string
}

func measureFloods(ctx context.Context, o options, programs stack.Programs) (_ []flood, err error) {
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{
		"PRELOAD": "", "NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python,
	}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	f := &floods{stack: s}
	if err := f.prepare(ctx); err != nil {
		return nil, err
	}
	body := "POST /execute HTTP/1.1\r\nHost: localhost\r\n" +
		"Content-Type: application/json\r\nContent-Length: 63000\r\n\r\n" +
		`{"script":"` + strings.Repeat("#", 62000)
	header := "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Flood: " + strings.Repeat("h", 31000)
	measurements := []func() (flood, error){
		func() (flood, error) { return f.readers(ctx, 14, 1) },
		func() (flood, error) { return f.readers(ctx, 100, 1) },
		func() (flood, error) { return f.readers(ctx, 100, 100) },
		func() (flood, error) { return f.streams(ctx) },
		func() (flood, error) { return f.connections(ctx, "62 KB of a body", body, 1) },
		func() (flood, error) { return f.connections(ctx, "62 KB of a body", body, 100) },
		func() (flood, error) { return f.connections(ctx, "31 KB of a header", header, 1) },
		func() (flood, error) { return f.connections(ctx, "31 KB of a header", header, 100) },
	}
	var all []flood
	for _, measure := range measurements {
		if err := errors.Join(s.API.Stop(), s.RestartAPI(ctx)); err != nil {
			return nil, err
		}
		result, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, result)
		fmt.Printf("%s, %d from %d addresses: %.0f ms, %d refused, %d MB\n", result.Name, result.Clients,
			result.Addresses, result.HonestMS, result.Refused, result.RSSBytes>>20)
	}
	return all, nil
}

// prepare runs the jobs whose results the clients read.
func (f *floods) prepare(ctx context.Context) error {
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	run := func(script string) (string, error) {
		id, err := submit(ctx, client, f.stack.URL, script)
		if err != nil {
			return "", err
		}
		var job struct {
			Status string `json:"status"`
		}
		if status := stack.DoJSON(ctx, client, http.MethodGet, f.stack.URL+"/jobs/"+id+"?wait=30s", nil, "",
			&job); status != http.StatusOK || job.Status != "succeeded" {
			return "", fmt.Errorf("a job for the floods ended with %d %s", status, job.Status)
		}
		return id, nil
	}
	var err error
	for len(f.floodIDs) < floodJobs && err == nil {
		var id string
		id, err = run(floodScript)
		f.floodIDs = append(f.floodIDs, id)
	}
	if err == nil {
		f.honestID, err = run(honestScript)
	}
	return err
}

// readers opens clients that each request a large record and read nothing.
func (f *floods) readers(ctx context.Context, clients, addresses int) (flood, error) {
	request := "GET /jobs/" + f.floodIDs[0] + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return f.measure(ctx, flood{Name: "idle readers", Clients: clients, Addresses: addresses},
		func(int) string { return request }, f.readHonestly)
}

// streams opens clients that each watch a job with a large record and read nothing.
func (f *floods) streams(ctx context.Context) (flood, error) {
	return f.measure(ctx, flood{Name: "unread event streams", Clients: floodStreams, Addresses: 1}, func(i int) string {
		return "GET /jobs/" + f.floodIDs[i%floodJobs] + "/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
	}, f.readHonestly)
}

// connections opens clients that each send the beginning of a request.
func (f *floods) connections(ctx context.Context, name, beginning string, addresses int) (flood, error) {
	return f.measure(ctx, flood{Name: name, Clients: floodConnections, Addresses: addresses},
		func(int) string { return beginning }, f.runHonestly)
}

// measure opens the clients of a flood and lets an honest client try meanwhile.
func (f *floods) measure(
	ctx context.Context, result flood, send func(i int) string, honest func(context.Context) int,
) (flood, error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		for ctx.Err() == nil {
			result.RSSBytes = max(result.RSSBytes, peakRSS(f.stack.API.PID()))
			_ = pause(ctx, 50*time.Millisecond)
		}
	})
	gate := make(chan struct{}, 64)
	var begun sync.WaitGroup
	for i := range result.Clients {
		gate <- struct{}{}
		begun.Add(1)
		all.Go(func() {
			conn, err := dialFrom(ctx, f.stack.URL, 2+i%result.Addresses)
			if err == nil {
				defer conn.Close()
				_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
				_, _ = io.WriteString(conn, send(i)) // a refused client is what is measured
			}
			begun.Done()
			<-gate
			<-ctx.Done()
		})
	}
	begun.Wait()
	if err := pause(ctx, time.Second); err != nil {
		return result, err
	}
	began := time.Now()
	for ; time.Since(began) < honestTimeout; result.Refused++ {
		if status := honest(ctx); status == http.StatusOK {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return result, err
		}
	}
	result.HonestMS = float64(time.Since(began)) / float64(time.Millisecond)
	cancel()
	all.Wait()
	return result, nil
}

// readHonestly reads the honest client's result, and returns the status; 0 if it did not arrive whole.
func (f *floods) readHonestly(ctx context.Context) int {
	return f.callHonestly(ctx, http.MethodGet, "/jobs/"+f.honestID, "")
}

// runHonestly runs a job.
func (f *floods) runHonestly(ctx context.Context) int {
	body, _ := json.Marshal(map[string]string{"script": "def main(): return 1"}) // a map of strings always encodes
	return f.callHonestly(ctx, http.MethodPost, "/execute", string(body))
}

func (f *floods) callHonestly(ctx context.Context, method, path, body string) int {
	conn, err := dialFrom(ctx, f.stack.URL, 1)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(honestTimeout))
	request, err := http.NewRequestWithContext(ctx, method, f.stack.URL+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	if request.Write(conn) != nil {
		return 0
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0
	}
	return response.StatusCode
}

// dialFrom connects from one of this machine's loopback addresses, 127.0.0.n.
func dialFrom(ctx context.Context, url string, n int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n))}, Timeout: 10 * time.Second}
	return dialer.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
}

// peakRSS returns the most that a process has had resident, in bytes; 0 if it is gone.
func peakRSS(pid int) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(content)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

// printFloods prints a line for each flood.
func printFloods(w io.Writer, floods []flood) {
	if len(floods) == 0 {
		return
	}
	fmt.Fprintf(w, "\nflood\tclients\taddresses\thonest client, ms\trefused\tresident, MB\n")
	for _, f := range floods {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%d\t%.0f\n", f.Name, f.Clients, f.Addresses, f.HonestMS, f.Refused,
			float64(f.RSSBytes)/(1<<20))
	}
}
