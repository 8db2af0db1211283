package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

const (
	// fleetBound is the time for all workers to be there, and settleTime the time until their connections and what
	// they do once have settled.
	fleetBound = 2 * time.Minute
	settleTime = 4 * time.Second
	// drainBound is the time for the jobs that were accepted to end.
	drainBound = 2 * time.Minute
	// checkInterval is how often the program looks whether a wait is over.
	checkInterval = 100 * time.Millisecond
	// attempts is how often a size is measured at most.
	attempts = 3
	// listings is how often GET /workers is measured.
	listings = 10
	// maxClients is Redis's bound on connections, of which a worker has some; the default is too low for this many.
	maxClients = 19_000
)

// size is what was measured of one number of workers and of API processes.
type size struct {
	Workers int `json:"workers"`
	APIs    int `json:"apis"`
	// Idle is for each second without jobs, and Memory what Redis holds then.
	Idle   cost   `json:"idle_second"`
	Memory memory `json:"memory"`
	// Job is for each job at the fixed rate, besides Idle; Dispatch is the time from acceptance to start.
	Job      cost    `json:"job"`
	Dispatch summary `json:"dispatch"`
	// RecordBytes is the memory of Redis that each ended job still takes: half of them are asynchronous.
	RecordBytes float64 `json:"record_bytes"`
	// APIMicros and WorkerMicros are the processor time of the API and of the workers' processes for each job.
	APIMicros    float64 `json:"api_cpu_us"`
	WorkerMicros float64 `json:"worker_cpu_us"`
	// PerSecond is how many jobs the clients ran one after the other, and Busy what each cost; 0 if not measured.
	PerSecond    float64 `json:"capacity_per_second"`
	Busy         cost    `json:"capacity_job"`
	BusyDispatch summary `json:"capacity_dispatch"`
	// Cancel is for each cancel of a running job, and List for each GET /workers.
	Cancel cost `json:"cancel"`
	List   cost `json:"list"`
}

// summary summarizes times in milliseconds.
type summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
}

// fleet is a running service.
type fleet struct {
	stack   *stack.Stack
	crew    crew
	redis   redis.UniversalClient
	clients *clients
	apis    []int // process ids
	idle    usage
}

// measureAgain measures a size, and again if a request failed: on a machine that others load, Redis may not answer in
// time for once.
func (s *size) measureAgain(ctx context.Context, o options, programs stack.Programs) error {
	for attempt := 1; ; attempt++ {
		*s = size{Workers: s.Workers, APIs: s.APIs}
		err := s.measure(ctx, o, programs)
		if err == nil || ctx.Err() != nil || attempt == attempts {
			return err
		}
		fmt.Println("  measured again:", err)
	}
}

// measure starts a fleet, measures it, and stops it.
func (s *size) measure(ctx context.Context, o options, programs stack.Programs) (err error) {
	f, err := startFleet(ctx, s.Workers, s.APIs, o, programs)
	defer func() { err = errors.Join(err, f.stop()) }()
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, options, *fleet) error{
		s.measureIdle, s.measureOffered, s.measureOthers, s.measureCapacity,
	} {
		if err := step(ctx, o, f); err != nil {
			return err
		}
	}
	return nil
}

// startFleet returns what it has started also after an error.
func startFleet(
	ctx context.Context, workers, apis int, o options, programs stack.Programs,
) (f *fleet, err error) {
	f = &fleet{}
	port, err := freePort()
	if err != nil {
		return f, err
	}
	url := fmt.Sprintf("redis://127.0.0.1:%d/0", port)
	// Over TCP, as between machines; the stack itself uses a socket.
	env := stack.Env{"REDIS_URL": url, "METRICS_ADDR": "", "QUEUE_LIMIT": "100000"}
	f.stack, err = stack.Start(ctx, stack.Config{
		Programs: programs, API: env,
		Redis: []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--maxclients", strconv.Itoa(maxClients)},
	})
	if err != nil {
		return f, err
	}
	urls := []string{f.stack.URL}
	f.apis = append(f.apis, f.stack.API.PID())
	for range apis - 1 {
		url, process, err := f.stack.StartReplica(ctx, env)
		if err != nil {
			return f, err
		}
		urls, f.apis = append(urls, url), append(f.apis, process.PID())
	}
	f.clients = newClients(urls)
	if f.redis, err = (redisconn.Settings{URL: f.stack.RedisURL}).Open(); err != nil {
		return f, err
	}
	if f.crew, err = startCrew(ctx, url, workers, o); err != nil {
		return f, err
	}
	if err := f.await(ctx, workers); err != nil {
		return f, err
	}
	for range o.warmUp { // connections and scripts exist
		if _, err := f.clients.run(ctx, 0, false); err != nil {
			return f, err
		}
	}
	return f, sleep(ctx, settleTime)
}

// await waits until all workers are there.
func (f *fleet) await(ctx context.Context, workers int) error {
	ctx, cancel := context.WithTimeout(ctx, fleetBound)
	defer cancel()
	for {
		n, err := f.redis.ZCard(ctx, "cellblock:workers").Result()
		if err != nil || int(n) == workers {
			return err
		}
		if err := sleep(ctx, checkInterval); err != nil {
			return fmt.Errorf("%d of %d workers are there: %w", n, workers, err)
		}
	}
}

func (f *fleet) stop() error {
	err := f.crew.stop()
	if f.clients != nil {
		f.clients.close()
	}
	if f.redis != nil {
		err = errors.Join(err, f.redis.Close())
	}
	if f.stack != nil {
		err = errors.Join(err, f.stack.Stop())
	}
	return err
}

func (s *size) measureIdle(ctx context.Context, o options, f *fleet) (err error) {
	f.idle, err = f.during(ctx, func() error { return sleep(ctx, o.idle) })
	if err != nil {
		return err
	}
	s.Idle = f.idle.each(f.idle.took)
	s.Memory, err = readMemory(ctx, f.redis)
	fmt.Printf("  idle      %.0f commands/s, %.2f ms of Redis/s, %.0f bytes/s, %d connections\n", s.Idle.Commands,
		s.Idle.CPUMicros/1000, s.Idle.Bytes, s.Memory.Connections)
	return err
}

func (s *size) measureOffered(ctx context.Context, o options, f *fleet) error {
	if _, err := f.crew.ended(); err != nil { // those of the warm-up
		return err
	}
	memoryBefore, err := readMemory(ctx, f.redis)
	if err != nil {
		return err
	}
	apiBefore, workersBefore := processorTime(f.apis), processorTime(f.crew.pids())
	count := 0
	used, err := f.during(ctx, func() (err error) {
		if count, err = f.clients.offer(ctx, o); err != nil {
			return err
		}
		s.Dispatch, err = f.drain(ctx, count)
		return err
	})
	if err != nil {
		return err
	}
	n := float64(count)
	s.APIMicros = rounded((processorTime(f.apis) - apiBefore) * 1e6 / n)
	s.WorkerMicros = rounded((processorTime(f.crew.pids()) - workersBefore) * 1e6 / n)
	memoryAfter, err := readMemory(ctx, f.redis)
	s.RecordBytes = rounded((memoryAfter.UsedMB - memoryBefore.UsedMB) * (1 << 20) / n)
	s.Job = used.without(f.idle).each(n)
	fmt.Printf("  a job     %.1f commands, %.0f µs of Redis, %.0f bytes; started after %.2f ms, p99 %.1f\n",
		s.Job.Commands, s.Job.CPUMicros, s.Job.Bytes, s.Dispatch.Median, s.Dispatch.P99)
	return err
}

func (s *size) measureCapacity(ctx context.Context, o options, f *fleet) error {
	if o.clients == 0 {
		return nil
	}
	if _, err := f.crew.ended(); err != nil {
		return err
	}
	count := 0
	used, err := f.during(ctx, func() (err error) {
		count, err = f.clients.saturate(ctx, o)
		return err
	})
	if err != nil {
		return err
	}
	s.PerSecond = rounded(float64(count) / used.took)
	s.Busy = used.without(f.idle).each(float64(count))
	s.BusyDispatch, err = f.drain(ctx, count)
	fmt.Printf("  capacity  %.0f jobs/s, %.1f commands, %.0f µs of Redis; started after %.2f ms, p99 %.1f\n",
		s.PerSecond, s.Busy.Commands, s.Busy.CPUMicros, s.BusyDispatch.Median, s.BusyDispatch.P99)
	return err
}

func (s *size) measureOthers(ctx context.Context, o options, f *fleet) error {
	ids, err := f.clients.runLong(ctx, min(o.cancels, o.slots*s.Workers))
	if err != nil {
		return err
	}
	used, err := f.during(ctx, func() error { return f.clients.cancel(ctx, ids) })
	if err != nil {
		return err
	}
	s.Cancel = used.without(f.idle).each(float64(len(ids)))
	used, err = f.during(ctx, func() error {
		for range listings {
			if _, err := f.clients.do(ctx, http.MethodGet, "/workers", nil, http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.List = used.without(f.idle).each(listings)
	fmt.Printf("  a cancel  %.1f commands, %.0f bytes; GET /workers %.1f commands, %.0f bytes\n", s.Cancel.Commands,
		s.Cancel.Bytes, s.List.Commands, s.List.Bytes)
	return nil
}

// during returns what Redis does while work is done.
func (f *fleet) during(ctx context.Context, work func() error) (usage, error) {
	before, err := readUsage(ctx, f.redis)
	if err != nil {
		return usage{}, err
	}
	if err := work(); err != nil {
		return usage{}, err
	}
	after, err := readUsage(ctx, f.redis)
	return after.since(before), err
}

// drain waits until n jobs have ended, and returns the times until they started. All must have succeeded.
func (f *fleet) drain(ctx context.Context, n int) (summary, error) {
	ctx, cancel := context.WithTimeout(ctx, drainBound)
	defer cancel()
	var times []float64
	for {
		last, err := f.crew.ended()
		if err != nil {
			return summary{}, err
		}
		times = append(times, last.QueuedMS...)
		if last.Others > 0 {
			return summary{}, fmt.Errorf("%d jobs failed", last.Others)
		}
		if len(times) >= n {
			return summarize(times), nil
		}
		if err := sleep(ctx, checkInterval); err != nil {
			return summary{}, fmt.Errorf("%d of %d jobs have ended: %w", len(times), n, err)
		}
	}
}

func summarize(times []float64) summary {
	slices.Sort(times)
	at := func(part float64) float64 { return rounded(times[min(int(part*float64(len(times))), len(times)-1)]) }
	return summary{N: len(times), Median: at(0.5), P99: at(0.99)}
}

// freePort returns a port that is free now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address, _ := listener.Addr().(*net.TCPAddr)
	return address.Port, nil
}

// processorTime returns the seconds of processor time that processes have used (proc_pid_stat(5)).
func processorTime(pids []int) float64 {
	const ticksPerSecond = 100 // USER_HZ
	var ticks float64
	for _, pid := range pids {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has exited, and the measurement fails
		}
		fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
		ticks += number(fields[11]) + number(fields[12])
	}
	return ticks / ticksPerSecond
}

func cores() int { return runtime.NumCPU() }
