package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"cellblock/test/stack"
)

const (
	// inRow is how many jobs run one after the other on each of rowClients clients.
	inRow, rowClients = 500, 8
	// atOnceProcesses is how many processes each of the jobs at once has beside its own.
	atOnceProcesses = 8
	// maxWarnings is how many of the worker's warnings are printed when jobs failed.
	maxWarnings = 10
)

// workerFlood is what a worker uses of what the machine has few of, while its slots are as many as a worker may have.
type workerFlood struct {
	// AtOnce is the number of jobs that ran at the same time, and InRow that of those before.
	AtOnce int `json:"at_once"`
	InRow  int `json:"in_row"`
	// Failed counts the jobs that did not succeed, by code.
	Failed map[string]int `json:"failed"`
	// Idle is before, Row after the jobs in a row, Peak the most of the jobs at once, After once they have ended.
	Idle  workerUse `json:"idle"`
	Row   workerUse `json:"row"`
	Peak  workerUse `json:"peak"`
	After workerUse `json:"after"`
	// NeighbourMS are the times of a job on a second worker while the jobs at once ran, and its failures.
	NeighbourMS     summary `json:"neighbour_ms"`
	NeighbourFailed int     `json:"neighbour_failed"`
	// group is the name of the worker's cgroup.
	group string
}

// workerUse is what a worker uses.
type workerUse struct {
	// Files are its own open files, Processes and UserIDs those of its sandboxes, and Groups its cgroups.
	Files     int `json:"open_files"`
	Processes int `json:"processes"`
	UserIDs   int `json:"user_ids"`
	Groups    int `json:"cgroups"`
}

func (u workerUse) maximum(other workerUse) workerUse {
	return workerUse{
		Files: max(u.Files, other.Files), Processes: max(u.Processes, other.Processes),
		UserIDs: max(u.UserIDs, other.UserIDs), Groups: max(u.Groups, other.Groups),
	}
}

// measureWorkerFlood runs thousands of jobs in a row, then as many at once as the worker has slots. A second worker, of
// another service, is the neighbour.
func measureWorkerFlood(ctx context.Context, o options, programs stack.Programs) (_ *workerFlood, err error) {
	runDir := filepath.Join(os.TempDir(), fmt.Sprintf("cellblock-flood-%d", os.Getpid()))
	defer func() { err = errors.Join(err, os.RemoveAll(runDir)) }()
	worker := func(slots int) stack.Env {
		return stack.Env{
			"PRELOAD": "", "NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python, "RUN_DIR": runDir,
			"WORKER_CONCURRENCY": strconv.Itoa(slots), "LIMIT_WALL": "5m", "DRAIN_TIMEOUT": "6m",
		}
	}
	s, err := stack.Start(ctx, stack.Config{
		Programs: programs, API: stack.Env{"SYNC_WAIT": "5m", "LIMIT_WALL": "5m"},
		Workers: []stack.Env{worker(o.slots)},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	other, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{worker(1)}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, other.Stop()) }()
	f := &workerFlood{AtOnce: o.slots, InRow: inRow * rowClients, Failed: map[string]int{}}
	if f.group, err = groupName(runDir); err != nil {
		return nil, err
	}
	pid := s.Workers()[0].PID()
	if f.Idle, err = f.awaitReady(ctx, pid); err != nil {
		return nil, err
	}
	f.runAll(ctx, s.URL, rowClients, inRow, "def main(): return 1")
	if f.Row, err = f.awaitReady(ctx, pid); err != nil {
		return nil, err
	}
	f.atOnce(ctx, s.URL, other.URL, pid)
	if len(f.Failed) > 0 {
		printWarnings(s.Workers()[0].Log())
	}
	f.After, err = f.awaitReady(ctx, pid)
	return f, err
}

// atOnce fills all slots with jobs that have several processes and wait for each other's start, and samples meanwhile.
func (f *workerFlood) atOnce(ctx context.Context, url, neighbour string, pid int) {
	script := fmt.Sprintf("import subprocess, time\ndef main():\n"+
		"    all = [subprocess.Popen(['sleep', '20']) for _ in range(%d)]\n"+
		"    return sum(p.wait() for p in all)\n", atOnceProcesses)
	ctx, cancel := context.WithCancel(ctx)
	var sampling sync.WaitGroup
	var times []time.Duration
	next := newService(neighbour, "def main(): return 1")
	sampling.Go(func() {
		for ctx.Err() == nil {
			f.Peak = f.Peak.maximum(useOf(pid, f.group))
			took, err := next.call(ctx)
			switch {
			case err == nil:
				times = append(times, took)
			case ctx.Err() == nil:
				f.NeighbourFailed++
			}
			_ = pause(ctx, 100*time.Millisecond)
		}
	})
	f.runAll(ctx, url, f.AtOnce, 1, script)
	cancel()
	sampling.Wait()
	if len(times) > 0 {
		f.NeighbourMS = summarize(times)
	}
}

// printWarnings prints the last lines of a log that are warnings or errors.
func printWarnings(log string) {
	var warnings []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "WARN") || strings.Contains(line, "ERROR") {
			warnings = append(warnings, line)
		}
	}
	fmt.Printf("%d warnings of the worker, the last ones:\n", len(warnings))
	for _, line := range warnings[max(0, len(warnings)-maxWarnings):] {
		fmt.Printf("%.600s\n", strings.TrimSpace(line))
	}
}

// runAll lets clients run a script again and again, and counts the failures.
func (f *workerFlood) runAll(ctx context.Context, url string, clients, times int, script string) {
	client := &http.Client{Timeout: 6 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	body, _ := json.Marshal(map[string]string{"script": script}) // a map of strings always encodes
	var all sync.WaitGroup
	var mu sync.Mutex
	for range clients {
		all.Go(func() {
			for range times {
				var answer struct {
					Code string `json:"code"`
				}
				status := stack.DoJSON(ctx, client, http.MethodPost, url+"/execute", body, "", &answer)
				if status == http.StatusOK {
					continue
				}
				mu.Lock()
				f.Failed[fmt.Sprintf("%d %s", status, answer.Code)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// awaitReady returns what the worker uses once it has a ready sandbox for each slot and no other, or after
// settleTimeout.
func (f *workerFlood) awaitReady(ctx context.Context, pid int) (workerUse, error) {
	for began := time.Now(); ; {
		use := useOf(pid, f.group)
		// The zygotes have a user id too.
		if use.UserIDs > f.AtOnce && use.UserIDs < f.AtOnce+8 || time.Since(began) > settleTimeout {
			return use, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return use, err
		}
	}
}

// groupName returns the name of the cgroup of the first worker of a RUN_DIR, which has the device and inode of the
// file that it has locked.
func groupName(runDir string) (string, error) {
	var place unix.Stat_t
	err := unix.Stat(filepath.Join(runDir, "claims", "0"), &place)
	return fmt.Sprintf("cellblock-%x-%x", place.Dev, place.Ino), err
}

// useOf returns what a worker uses, whose cgroup has that name.
func useOf(pid int, group string) workerUse {
	var use workerUse
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	use.Files = len(files)
	ids := map[string]bool{}
	for _, process := range stack.Descendants(pid) {
		use.Processes++
		content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Uid:" && fields[1] != "0" {
				ids[fields[1]] = true
			}
		}
	}
	use.UserIDs = len(ids)
	for _, dir := range stack.CgroupDirs(pid) {
		// The worker may have moved itself into a group beside those of its jobs.
		for _, root := range []string{dir, filepath.Dir(dir)} {
			found, _ := filepath.Glob(filepath.Join(root, group, "*"))
			for _, path := range found {
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					use.Groups++
				}
			}
		}
	}
	return use
}

func (f *workerFlood) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d jobs in a row, %d at once\tidle\tafter the row\tmost\tafter\n", f.InRow, f.AtOnce)
	row := func(name string, of func(workerUse) int) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", name, of(f.Idle), of(f.Row), of(f.Peak), of(f.After))
	}
	row("open files of the worker", func(u workerUse) int { return u.Files })
	row("processes", func(u workerUse) int { return u.Processes })
	row("user ids", func(u workerUse) int { return u.UserIDs })
	row("cgroups, all hierarchies", func(u workerUse) int { return u.Groups })
	fmt.Fprintf(w, "failed\t%v\n", f.Failed)
	fmt.Fprintf(w, "neighbour's job, ms\tmedian %.0f\tp99 %.0f\tmax %.0f\tfailed %d\n", f.NeighbourMS.Median,
		f.NeighbourMS.P99, f.NeighbourMS.Max, f.NeighbourFailed)
}
