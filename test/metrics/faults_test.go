package metrics

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const sleeping = "def main():\n    import time\n    time.sleep(10)"

// TestKilledWorker: the reaper ends the job of a worker that is gone, and the job behind it waits.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"WORKER_CONCURRENCY": "1"})
	s.execute(t, sleeping, map[string]any{"async": true})
	await(t, s.URL, "the job does not run", func(f map[string]family) bool {
		busy, _ := value(f, "cellblock_fleet_slots_busy", "", "")
		return busy == 1
	})
	s.execute(t, "def main(): return 1", map[string]any{"async": true})
	waited := time.Now()
	api := scrape(t, s.URL)
	wantValue(t, api, "cellblock_reaper_actions_total", "", "", 0)
	s.isKilled = true
	s.worker.Kill()
	api = await(t, s.URL, "the job was not reaped", func(f map[string]family) bool {
		lost, _ := value(f, "cellblock_ended_jobs_total", "outcome", "worker_lost")
		return lost == 1
	})
	wantValue(t, api, "cellblock_reaper_actions_total", "action", "worker_lost", 1)
	api = await(t, s.URL, "the worker is not gone", func(f map[string]family) bool {
		workers, found := value(f, "cellblock_workers", "", "")
		return found && workers == 0
	})
	wantValue(t, api, "cellblock_fleet_slots", "", "", 0)
	wantValue(t, api, "cellblock_queue_depth", "environment", "default", 1)
	age, _ := value(api, "cellblock_queue_oldest_seconds", "environment", "default")
	if most := time.Since(waited).Seconds(); age < 1 || age > most+1 {
		t.Errorf("the oldest job has waited %v s, and was sent %v s ago", age, most)
	}
}

// TestKilledZygote: a zygote that is killed has died, and one that is replaced as planned has not.
func TestKilledZygote(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"WORKER_CONCURRENCY": "1", "ZYGOTE_JOBS": "5"})
	for range 6 {
		s.execute(t, "def main(): return 1", nil)
	}
	replaced := await(t, s.metrics, "the zygote is not replaced", func(f map[string]family) bool {
		starts, _ := value(f, "cellblock_zygote_starts_total", "environment", "default")
		return starts >= 2 && len(descendants(t, s.worker.PID(), 2)) == 1
	})
	wantValue(t, replaced, "cellblock_zygote_deaths_total", "", "", 0)
	before, _ := value(replaced, "cellblock_zygote_starts_total", "", "")
	for _, pid := range descendants(t, s.worker.PID(), 2) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	died := await(t, s.metrics, "no other zygote starts", func(f map[string]family) bool {
		starts, _ := value(f, "cellblock_zygote_starts_total", "", "")
		return starts == before+1
	})
	wantValue(t, died, "cellblock_zygote_deaths_total", "reason", "exited", 1)
	wantValue(t, died, "cellblock_zygote_deaths_total", "", "", 1)
}

// descendants returns the processes that are that many generations below a process: the nsjails of a worker, and the
// zygotes in them.
func descendants(t *testing.T, pid, generations int) (found []int) {
	t.Helper()
	if generations == 0 {
		return []int{pid}
	}
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			continue // the thread is gone
		}
		for text := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(text); err == nil {
				found = append(found, descendants(t, child, generations-1)...)
			}
		}
	}
	return found
}

// TestRedisIsAway: scrapes go on, soon, and leave out what they do not know.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	isDown := func(name string) func(map[string]family) bool {
		return func(f map[string]family) bool {
			up, found := value(f, name, "", "")
			return found && up == 0
		}
	}
	isUp := func(name string) func(map[string]family) bool {
		return func(f map[string]family) bool {
			up, _ := value(f, name, "", "")
			return up == 1
		}
	}
	await(t, s.URL, "Redis is not up", isUp("cellblock_redis_up"))
	if err := s.Redis.Signal(syscall.SIGSTOP); err != nil { // connections hang
		t.Fatal(err)
	}
	began := time.Now()
	stopped := await(t, s.URL, "Redis is up", isDown("cellblock_redis_up"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a scrape took %v", took)
	}
	for name, row := range table(t, "service") {
		if _, found := stopped[name]; found != (name == "cellblock_redis_up") {
			t.Errorf("%s of the %s is there: %v", name, row.of, found)
		}
	}
	if err := s.Redis.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, s.URL, "Redis is not up again", isUp("cellblock_redis_up"))
	s.Redis.Kill() // connections fail
	await(t, s.URL, "Redis is up", isDown("cellblock_redis_up"))
	await(t, s.metrics, "Redis is up for the worker", isDown("cellblock_worker_redis_up"))
	if err := s.RestartRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, s.URL, "Redis is not up again", isUp("cellblock_redis_up"))
	await(t, s.metrics, "Redis is not up again for the worker", isUp("cellblock_worker_redis_up"))
}
