package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// beside is what this commit does in one run beside another commit, other services and a bare nsjail, all measured in
// turn. Keys of the maps are names: "this commit", "other commit", "bare nsjail" and those of the peers.
type beside struct {
	Scripts []besideScript `json:"scripts"`
	// Outside is the median time of a request outside of its job's run and prepare, in milliseconds, with requests
	// besidePause apart; UploadOutside the same with a file of besideUpload bytes.
	Outside       map[string]float64 `json:"outside_ms"`
	UploadOutside map[string]float64 `json:"upload_outside_ms"`
	// WorkerCPU is the processor time of the worker for each job, in milliseconds, with one client.
	WorkerCPU map[string]float64 `json:"worker_cpu_ms"`
	// Accepted is the number of asynchronous jobs that one API accepts per second, without a worker.
	Accepted map[string]float64 `json:"accepted_per_second"`
}

// besideScript is one script: the median time of a request of one client in milliseconds, and requests per second of
// eight clients (for a bare nsjail: one for each core).
type besideScript struct {
	Script    string             `json:"script"`
	Median    map[string]float64 `json:"median_ms"`
	PerSecond map[string]float64 `json:"per_second"`
}

const (
	thisCommit, otherCommit, bareNsjail = "this commit", "other commit", "bare nsjail"

	besidePause  = 100 * time.Millisecond
	besideUpload = 5 << 20
	// besideRuns is the number of requests of each median.
	besideRuns = 30
)

var besideScripts = []struct{ name, text, want string }{
	{"return 1", "def main():\n    return 1\n", "1"},
	{"numpy", "import numpy as np\ndef main():\n    return float(np.arange(10).sum())\n", "45.0"},
	{"pandas", scripts[1].text, "3.0"},
}

// measureBeside needs no other commit and no peers; it measures those that there are.
func measureBeside(ctx context.Context, o options, programs stack.Programs, dir string) (_ *beside, err error) {
	stacks := map[string]*stack.Stack{}
	defer func() {
		for _, s := range stacks {
			err = errors.Join(err, s.Stop())
		}
	}()
	folders := map[string]stack.Programs{thisCommit: programs}
	if o.other != "" {
		if folders[otherCommit], err = stack.FindOrBuild(ctx, o.other, dir); err != nil {
			return nil, err
		}
	}
	b := &beside{
		Outside: map[string]float64{}, UploadOutside: map[string]float64{}, WorkerCPU: map[string]float64{},
		Accepted: map[string]float64{},
	}
	for name, folder := range folders {
		worker := stack.Env{"SANDBOX": "warm", "NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python}
		s, err := stack.Start(ctx, stack.Config{Programs: folder, Workers: []stack.Env{worker}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		stacks[name] = s
	}
	for _, script := range besideScripts {
		measured, err := besideOne(ctx, o, stacks, script.name, script.text, script.want, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", script.name, err)
		}
		b.Scripts = append(b.Scripts, measured)
	}
	if err := b.measureService(ctx, stacks); err != nil {
		return nil, err
	}
	return b, b.measureAccepted(ctx, o, folders)
}

// besideOne measures one script in every way, in turn.
func besideOne(
	ctx context.Context, o options, stacks map[string]*stack.Stack, name, text, want, dir string,
) (besideScript, error) {
	result := besideScript{Script: name, Median: map[string]float64{}, PerSecond: map[string]float64{}}
	bare, err := newBare(ctx, o, filepath.Join(dir, "beside", name), text+exitAfterFinalizing)
	if err != nil {
		return result, err
	}
	ways := map[string]caller{bareNsjail: bare.call}
	for name, s := range stacks {
		ways[name] = newService(s.URL, text).call
	}
	for _, p := range o.peers {
		ways[p.name] = p.caller(text+exitAfterFinalizing, want)
	}
	names := slices.Sorted(maps.Keys(ways))
	var calls []func(context.Context) (time.Duration, error)
	for _, name := range names {
		calls = append(calls, ways[name])
	}
	times, err := inTurn(ctx, calls, min(o.runs, besideRuns))
	if err != nil {
		return result, err
	}
	for i, name := range names {
		result.Median[name] = times[i].Median
	}
	for range rounds {
		for _, name := range names {
			callers := clients
			if name == bareNsjail {
				callers = thisMachine().Cores
			}
			rate, err := throughput(ctx, callers, o.round, ways[name])
			if err != nil {
				return result, err
			}
			result.PerSecond[name] = rounded(result.PerSecond[name] + rate/rounds)
		}
	}
	return result, nil
}

// measureService measures what of a request is not its job's.
func (b *beside) measureService(ctx context.Context, stacks map[string]*stack.Stack) error {
	outside, uploads, cpu := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string]int64{}
	content := make([]byte, besideUpload)
	for range besideRuns {
		for name, s := range stacks {
			worker := s.Workers()[0].PID()
			before := cpuTime(worker)
			took, err := outsideOfRun(ctx, s.URL, besideScripts[0].text, nil)
			if err != nil {
				return err
			}
			if err := pause(ctx, besidePause); err != nil {
				return err
			}
			cpu[name] += cpuTime(worker) - before
			outside[name] = append(outside[name], took)
			if took, err = outsideOfRun(ctx, s.URL, readFileScript, content); err != nil {
				return err
			}
			uploads[name] = append(uploads[name], took)
			if err := pause(ctx, besidePause); err != nil {
				return err
			}
		}
	}
	for name := range stacks {
		b.Outside[name] = summarize(outside[name]).Median
		b.UploadOutside[name] = summarize(uploads[name]).Median
		b.WorkerCPU[name] = rounded(float64(cpu[name]) / besideRuns / float64(time.Millisecond))
	}
	return nil
}

// outsideOfRun runs a script with a file (nil for none) and returns the time of the request outside of the job's run
// and prepare.
func outsideOfRun(ctx context.Context, url, script string, content []byte) (time.Duration, error) {
	took, answer, err := postForm(ctx, url, script, "{}", content)
	if err != nil {
		return 0, err
	}
	var record struct {
		Usage struct {
			RunMS     float64 `json:"run_ms"`
			PrepareMS float64 `json:"prepare_ms"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(answer, &record); err != nil {
		return 0, err
	}
	return took - time.Duration((record.Usage.RunMS+record.Usage.PrepareMS)*float64(time.Millisecond)), nil
}

// measureAccepted posts asynchronous jobs to services without a worker, in turn.
func (b *beside) measureAccepted(ctx context.Context, o options, folders map[string]stack.Programs) (err error) {
	ways := map[string]caller{}
	var stacks []*stack.Stack
	defer func() {
		for _, s := range stacks {
			err = errors.Join(err, s.Stop())
		}
	}()
	for name, folder := range folders {
		s, err := stack.Start(ctx, stack.Config{Programs: folder, API: stack.Env{"QUEUE_LIMIT": "10000000"}})
		if err != nil {
			return err
		}
		stacks, ways[name] = append(stacks, s), accept(s.URL)
	}
	for range rounds {
		for name, call := range ways {
			rate, err := throughput(ctx, 4*clients, o.round, call)
			if err != nil {
				return err
			}
			b.Accepted[name] = rounded(b.Accepted[name] + rate/rounds)
		}
	}
	return nil
}

// cpuTime returns the processor time of a process in nanoseconds, without that of threads that have ended.
func cpuTime(pid int) int64 {
	var sum int64
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(content), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += ns
	}
	return sum
}

// print writes the ratios to this commit.
func (b *beside) print(w io.Writer) {
	for _, s := range b.Scripts {
		fmt.Fprintf(w, "\n%s\tmedian ms\tof this commit's\tjobs/s, %d clients\tthis commit has times as many\n",
			s.Script, clients)
		for _, name := range slices.Sorted(maps.Keys(s.Median)) {
			fmt.Fprintf(w, "%s\t%.1f\t%.2f\t%.1f\t%.2f\n", name, s.Median[name], s.Median[name]/s.Median[thisCommit],
				s.PerSecond[name], s.PerSecond[thisCommit]/s.PerSecond[name])
		}
	}
	fmt.Fprintf(w, "\n\toutside of run, ms\twith 5 MiB\tworker CPU, ms a job\taccepted/s\n")
	for _, name := range slices.Sorted(maps.Keys(b.Outside)) {
		fmt.Fprintf(w, "%s\t%.2f\t%.1f\t%.2f\t%.0f\n", name, b.Outside[name], b.UploadOutside[name], b.WorkerCPU[name],
			b.Accepted[name])
	}
}

// accept returns a function that posts one asynchronous job.
func accept(url string) caller {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * clients}}
	var number atomic.Int64
	return func(ctx context.Context) (time.Duration, error) {
		body := fmt.Sprintf(`{"script":"def main():\n    return %d\n","async":true}`, number.Add(1))
		took, status, answer, err := postJSON(ctx, client, url+"/execute", []byte(body))
		if err == nil && status != http.StatusAccepted {
			err = fmt.Errorf("POST /execute: %d: %.500s", status, answer)
		}
		return took, err
	}
}
