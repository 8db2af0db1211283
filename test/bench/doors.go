package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const (
	// doorClients is how many clients evaluation and reinforcement learning stacks have at once.
	doorClients = 128
	// doorTime is how long each way is measured in all, in rounds of options.round in turn.
	doorTime = time.Minute
	// doorAim is the smallest part of the jobs per second of POST /execute.
	doorAim  = 0.9
	doorCode = "print(sum(map(int, input().split())))"
)

// doors compares SandboxFusion's form of a request with ours.
type doors struct {
	Clients int `json:"clients"`
	// Door and Execute are jobs per second by POST /compat/sandboxfusion/run_code and by POST /execute. Every call must
	// succeed.
	Door     float64 `json:"door_per_second"`
	Execute  float64 `json:"execute_per_second"`
	DoorJobs int     `json:"door_jobs"`
	Jobs     int     `json:"execute_jobs"`
}

// doorWay is one way to run the script.
type doorWay struct {
	url, body string
	// check returns an error unless the response has the script's output.
	check func(answer []byte) error
	jobs  int
	took  time.Duration
}

func measureDoors(ctx context.Context, o options, programs stack.Programs) (_ *doors, err error) {
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{
		"NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python,
	}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	ways := []*doorWay{
		{
			url:   s.URL + "/compat/sandboxfusion/run_code",
			body:  fmt.Sprintf(`{"code":%q,"language":"python","stdin":"1 2"}`, doorCode),
			check: checkDoorOutput,
		},
		{
			url:   s.URL + "/execute",
			body:  fmt.Sprintf(`{"script":%q,"entry":"script","stdin":"1 2"}`, doorCode),
			check: checkOutput,
		},
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: doorClients}}
	defer client.CloseIdleConnections()
	// The first round of each is not counted.
	for round := 0; ways[0].took < doorTime; round++ {
		for _, way := range ways {
			if err := way.measure(ctx, client, o.round); err != nil {
				return nil, err
			}
			if round == 0 {
				way.jobs, way.took = 0, 0
			}
		}
	}
	door, execute := ways[0], ways[1]
	return &doors{
		Clients: doorClients, DoorJobs: door.jobs, Jobs: execute.jobs,
		Door: float64(door.jobs) / door.took.Seconds(), Execute: float64(execute.jobs) / execute.took.Seconds(),
	}, nil
}

// measure lets all clients call for a time, and waits for the last response of each.
func (w *doorWay) measure(ctx context.Context, client *http.Client, length time.Duration) error {
	var all sync.WaitGroup
	var ended atomic.Int64
	errs := make(chan error, doorClients)
	began := time.Now()
	for range doorClients {
		all.Go(func() {
			for time.Since(began) < length {
				_, status, answer, err := postJSON(ctx, client, w.url, []byte(w.body))
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("POST %s: %d: %.500s", w.url, status, answer)
				}
				if err == nil {
					err = w.check(answer)
				}
				if err != nil {
					errs <- err
					return
				}
				ended.Add(1)
			}
		})
	}
	all.Wait()
	w.jobs += int(ended.Load())
	w.took += time.Since(began)
	close(errs)
	return <-errs
}

func checkDoorOutput(answer []byte) error {
	var call struct {
		Run struct {
			Stdout string `json:"stdout"`
		} `json:"run_result"`
	}
	return checkSum(answer, &call, &call.Run.Stdout)
}

func checkOutput(answer []byte) error {
	var job struct {
		Stdout string `json:"stdout"`
	}
	return checkSum(answer, &job, &job.Stdout)
}

// checkSum decodes an answer and checks the output in it.
func checkSum(answer []byte, into any, stdout *string) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return err
	}
	if *stdout != "3\n" {
		return fmt.Errorf("the script printed %q: %.500s", *stdout, answer)
	}
	return nil
}

// print writes the comparison.
func (d *doors) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d clients, jobs per second\tSandboxFusion's run_code %.1f\tPOST /execute %.1f\n", d.Clients,
		d.Door, d.Execute)
	fmt.Fprintf(w, "part of POST /execute\t%.2f\t%s\n", d.Door/d.Execute, atLeast(d.Door/d.Execute, doorAim))
}
