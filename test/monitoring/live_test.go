package monitoring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/test/stack"
)

// unprovoked are the alerts that TestService does not make due, with the reason. alerts.yml has when they fire.
var unprovoked = map[string]string{
	"CellblockColdSandboxes":   "takes a tenth of all jobs of ten minutes",
	"CellblockJobsWaitTooLong": "takes a quarter of an hour",
	"CellblockMemoryRefusals":  "takes more memory of clients than the machine may have",
	"CellblockWebhooksWait":    "takes 1,000 jobs with a receiver that does not answer",
}

// TestService runs every query against a Prometheus that scrapes a service, first while it is well, and then while one
// part after the other is broken.
func TestService(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.load(t)
	s.isWell(t)
	due := s.breakParts(t)
	for _, rule := range readAlerts(t) {
		switch reason := unprovoked[rule.Name]; {
		case !due[rule.Name] && reason == "":
			t.Errorf("%s was never due", rule.Name)
		case due[rule.Name] && reason != "":
			t.Errorf("%s was due, though it %s", rule.Name, reason)
		}
	}
}

// isWell requires that no alert is due while Prometheus scrapes all processes and jobs run.
func (s *service) isWell(t *testing.T) {
	t.Helper()
	await(t, "scrapes of a loaded service", func() error {
		for expr, least := range map[string]float64{
			"sum(up)": 4, "count_over_time(up[1m])": 15,
			"sum(rate(cellblock_jobs_total[10s]))": 0.5, "sum(increase(cellblock_callbacks_total[1m]))": 1,
		} {
			values, err := s.values(expr)
			if err != nil || len(values) == 0 || values[0] < least {
				return fmt.Errorf("%s = %v, want %v: %w", expr, values, least, err)
			}
		}
		return nil
	})
	switch due, err := s.dueAlerts(); {
	case err != nil:
		t.Error(err)
	case len(due) > 0:
		t.Errorf("due in a service that is well: %v", due)
	}
}

// breakParts breaks one part after the other, and returns the alerts that became due. In the middle, when all kinds of
// events have happened and the service still runs, it runs the queries.
func (s *service) breakParts(t *testing.T) map[string]bool {
	t.Helper()
	due := map[string]bool{}
	expect := func(names ...string) {
		t.Helper()
		s.awaitDue(t, names...)
		for _, name := range names {
			due[name] = true
		}
	}
	client := s.redis(t)

	s.refuseWebhooks.Store(true)
	s.hangUp(t.Context())
	s.crowd(t.Context())
	s.send(t.Context(), s.spoilt, s.token, "GET", "/jobs", nil)
	if _, err := s.StartWorker(t.Context(), stack.Env{"PRELOAD": "", "WORKER_CONCURRENCY": "1"}); err != nil {
		t.Fatal(err)
	}
	s.runCold(t)
	s.killZygotes(t)
	expect("CellblockWebhooksFail", "CellblockConnectionsRefused", "CellblockAuditLinesLost", "CellblockWorkersUnseen",
		"CellblockZygotesDie")

	s.loseScience(t, client)
	expect("CellblockJobsFail", "CellblockNotScraped", "CellblockEnvironmentWithoutWorker", "CellblockRecordsLost")
	s.queries(t)

	fill(t, client, redisMemory*6/10)
	expect("CellblockRedisMemoryHigh", "CellblockRedisMemoryFull")
	fill(t, client, 0)

	s.pauseRedis(t, func() { expect("CellblockRedisDown", "CellblockWorkerWithoutRedis", "CellblockNoReaper") })
	expect("CellblockJobsWait") // for the environment whose worker is gone

	for _, worker := range s.Workers() {
		worker.Kill()
	}
	expect("CellblockNoWorkers", "CellblockApiErrors", "CellblockJobsFailOften")
	for _, p := range []*stack.Process{s.API, s.replica} {
		p.Kill()
	}
	expect("CellblockNoApi")
	return due
}

// queries runs each query of the dashboard and of the rules. Each must return something.
func (s *service) queries(t *testing.T) {
	t.Helper()
	d := readDashboard(t)
	exprs := map[string]string{}
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			exprs[p.Title+" "+strconv.Itoa(i)] = target.Expr
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			exprs["annotation"] = a.Expr
		}
	}
	for _, rule := range readAlerts(t) {
		for i, operand := range operands(rule.Expr) {
			exprs[rule.Name+" "+strconv.Itoa(i)] = operand
		}
	}
	for name, expr := range exprs {
		await(t, name, func() error {
			values, err := s.values(strings.ReplaceAll(expr, "$__rate_interval", "30s"))
			if err == nil && len(values) == 0 {
				err = fmt.Errorf("%s returns nothing", expr)
			}
			return err
		})
	}
}

// comparison matches the threshold of an operand.
var comparison = regexp.MustCompile(`\s*(==|>=|>)\s*[0-9.]+\s*\)?\s*$`)

// operands splits the expression of an alert at its `and`, `or` and `unless`, which stand on lines of their own, and
// takes the thresholds off: what is left returns something although the alert is not due. absent() is due when what it
// asks for is not there.
func operands(expr string) (parts []string) {
	for _, part := range regexp.MustCompile(`(?m)^\s*(?:and|or|unless)\s*$`).Split(expr, -1) {
		part = strings.TrimSpace(part)
		part = strings.TrimSpace(strings.TrimPrefix(part, "(\n"))
		part = comparison.ReplaceAllString(part, "")
		if inner, found := strings.CutPrefix(part, "absent("); found {
			part = strings.TrimSuffix(inner, ")")
		}
		parts = append(parts, part)
	}
	return parts
}

func (s *service) redis(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// fill makes Redis hold n bytes more than the service needs.
func fill(t *testing.T, client *redis.Client, n int64) {
	t.Helper()
	err := client.Del(t.Context(), "filler").Err()
	if err == nil && n > 0 {
		err = client.SetRange(t.Context(), "filler", n, "x").Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// runCold runs the first job of an environment, whose zygote only starts then.
func (s *service) runCold(t *testing.T) {
	t.Helper()
	s.submit(t, map[string]any{"script": "def main(): pass", "environment": stack.Neighbour})
	await(t, "a cold job", func() error {
		cold, err := s.values("sum(cellblock_cold_sandboxes_total) > 0")
		if err == nil && len(cold) == 0 {
			err = errors.New("none is counted")
		}
		return err
	})
}

// killZygotes kills the zygotes of the second worker, and those that are started after them, until the alert about them
// is due.
func (s *service) killZygotes(t *testing.T) {
	t.Helper()
	await(t, "deaths of zygotes", func() error {
		for _, pid := range stack.Descendants(s.science.PID()) {
			command, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			if strings.Contains(string(command), "/runner/main.py\x00zygote") {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		due, err := s.dueAlerts()
		if err == nil && due["CellblockZygotesDie"] == "" {
			err = fmt.Errorf("due: %v", due)
		}
		return err
	})
}

// loseScience kills the one worker that has the environment stack.Handmade under a job, while others wait for it, one
// of which then loses its record.
func (s *service) loseScience(t *testing.T, client *redis.Client) {
	t.Helper()
	running := s.submit(t, map[string]any{
		"script": "import time\ndef main():\n    time.sleep(10)", "environment": stack.Handmade,
	})
	await(t, "a running job", func() error {
		_, body := s.send(t.Context(), s.URL, s.token, "GET", "/jobs/"+running, nil)
		if !strings.Contains(string(body), `"running"`) {
			return errors.New(string(body))
		}
		return nil
	})
	s.science.Kill()
	s.submit(t, map[string]any{"script": "def main(): pass", "environment": stack.Handmade})
	lost := s.submit(t, map[string]any{"script": "def main(): pass", "environment": stack.Handmade})
	if err := client.Del(t.Context(), "cellblock:{"+lost+"}:job").Err(); err != nil {
		t.Fatal(err)
	}
}

// pauseRedis stops Redis while f runs.
func (s *service) pauseRedis(t *testing.T, f func()) {
	t.Helper()
	if err := s.Redis.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = s.Redis.Signal(syscall.SIGCONT)
		ctx, cancel := context.WithTimeout(t.Context(), stack.Scaled(30*time.Second))
		defer cancel()
		await(t, "Redis again", func() error { return s.redis(t).Ping(ctx).Err() })
	}()
	f()
}
