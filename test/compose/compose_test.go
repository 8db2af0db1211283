//go:build compose

package compose

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCompose runs docker-compose.yml unchanged, with two workers.
func TestCompose(t *testing.T) {
	p := startProject(t, "plain", 2, nil)
	small := startProject(t, "tight", 1, tightLimits())
	t.Run("conformance", func(t *testing.T) { runConformance(t, p.url, small.url, true) })
	small.compose(t, "stop", "--timeout", "40")
	t.Run("escapes", func(t *testing.T) { checkNoEscape(t, p.url) })
	t.Run("stop while jobs run", func(t *testing.T) { stopWhileJobsRun(t, p) })
	t.Run("kill a worker under load", func(t *testing.T) { killUnderLoad(t, p) })
}

// TestUnprivileged does the same with the overlay that drops all privileges.
func TestUnprivileged(t *testing.T) {
	const overlay = "deploy/compose/unprivileged.yml"
	p := startProject(t, "unprivileged", 2, nil, overlay)
	small := startProject(t, "unprivileged-tight", 1, tightLimits(), overlay)
	t.Run("conformance", func(t *testing.T) { runConformance(t, p.url, small.url, false) })
	t.Run("escapes", func(t *testing.T) { checkNoEscape(t, p.url) })
	t.Run("doctor", func(t *testing.T) {
		if said := p.compose(t, "exec", "-T", "worker", "/app/cellblock", "doctor"); !strings.Contains(said,
			"read-only file system") {
			t.Errorf("doctor does not say that cgroups are read-only:\n%s", said)
		}
	})
}

// stopWhileJobsRun checks that running jobs finish, and that their results are there after the next start.
func stopWhileJobsRun(t *testing.T, p *project) {
	var ids []string
	for range 2 {
		ids = append(ids,
			post(t, p.url, "import time\ndef main():\n    time.sleep(6)\n    return 'finished'\n", true).JobID)
	}
	for _, id := range ids {
		eventually(t, "the job runs", 20*time.Second, func() bool {
			a, err := call(t, "GET", p.url+"/jobs/"+id, nil)
			return err == nil && a.Status == "running"
		})
	}
	p.compose(t, "stop")
	p.compose(t, "up", "--detach", "--wait", "--scale", "worker=2")
	awaitWorkers(t, p.url, 2)
	for _, id := range ids {
		if a := awaitEnd(t, p.url, id, 20*time.Second); string(a.Result) != `"finished"` {
			t.Errorf("job %s: %s", id, a.Body)
		}
	}
}

// killUnderLoad kills one of two workers. Every accepted job must end; the jobs of the killed worker are lost, and
// none runs twice.
func killUnderLoad(t *testing.T, p *project) {
	const jobs = 120
	var mu sync.Mutex
	var ids []string
	var posting sync.WaitGroup
	for sender := range 4 {
		posting.Go(func() {
			for n := range jobs / 4 {
				a := post(t, p.url,
					fmt.Sprintf("import time\ndef main():\n    print('job %d-%d')\n    time.sleep(0.3)\n    return 1\n",
						sender, n), true)
				mu.Lock()
				ids = append(ids, a.JobID)
				mu.Unlock()
			}
		})
	}
	victim := strings.Fields(p.compose(t, "ps", "--quiet", "worker"))[0]
	time.Sleep(3 * time.Second)
	docker(t, nil, "kill", victim)
	posting.Wait()
	lost := 0
	for _, id := range ids {
		switch a := awaitEnd(t, p.url, id, 150*time.Second); {
		case a.Code == "worker_lost":
			lost++
		case a.Status != "succeeded":
			t.Errorf("job %s: %s", id, a.Body)
		}
	}
	log := logs(t, victim) + p.compose(t, "logs", "--no-color", "worker")
	for _, id := range ids {
		if starts := strings.Count(uniqueLines(log), `"job ended","job_id":"`+id); starts > 1 {
			t.Errorf("job %s ended %d times", id, starts)
		}
	}
	t.Logf("%d jobs, %d of them lost with the worker", len(ids), lost)
	if lost > 8 {
		t.Errorf("%d jobs are lost: more than one worker can have run", lost)
	}
}

// uniqueLines removes duplicate lines, which are in both docker logs and compose logs.
func uniqueLines(log string) string {
	seen := map[string]bool{}
	var kept strings.Builder
	for line := range strings.Lines(log) {
		if at := strings.Index(line, "{"); at >= 0 && !seen[line[at:]] {
			seen[line[at:]] = true
			kept.WriteString(line[at:])
		}
	}
	return kept.String()
}
