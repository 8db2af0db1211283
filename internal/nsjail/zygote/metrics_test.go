package zygote

import (
	"maps"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/sandboxtest"
)

// counts are Metrics of one environment.
type counts struct {
	mu     sync.Mutex
	starts int
	deaths map[string]int
	forks  []time.Duration
}

func (c *counts) ZygoteStarted(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts++
}

func (c *counts) ZygoteDied(_, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaths == nil {
		c.deaths = map[string]int{}
	}
	c.deaths[reason]++
}

func (c *counts) Forked(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forks = append(c.forks, took)
}

func (*counts) RanCold() {}

// await blocks until there were as many starts, and compares the deaths.
func (c *counts) await(t *testing.T, starts int, deaths map[string]int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		gotStarts, gotDeaths := c.starts, maps.Clone(c.deaths)
		c.mu.Unlock()
		if gotStarts == starts && maps.Equal(gotDeaths, deaths) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d starts, deaths %v, want %d, %v", gotStarts, gotDeaths, starts, deaths)
		}
	}
}

func openCounted(t *testing.T, zygoteJobs int64) (*Provider, *counts) {
	t.Helper()
	c := &counts{}
	return openPlain(t, 1, zygoteJobs, sandboxtest.Logger(t), func(s *settings) { s.Zygote.Metrics = c }), c
}

// A zygote that is replaced or closed as planned has not died.
func TestPlannedEndsAreNoDeaths(t *testing.T) {
	t.Parallel()
	const zygoteJobs = 4
	warm, c := openCounted(t, zygoteJobs)
	first := acquireZygote(t, warm)
	for range zygoteJobs {
		acquireZygote(t, warm)
	}
	<-first.jail.Gone
	warm.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.starts < 2 || len(c.deaths) > 0 {
		t.Errorf("%d starts, deaths %v", c.starts, c.deaths)
	}
	if len(c.forks) < zygoteJobs || c.forks[0] <= 0 || c.forks[0] > forkBound {
		t.Errorf("forks took %v", c.forks)
	}
}

func TestDeathsAreCountedByReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end    func(t *testing.T, s *readySandbox) error
		reason string
	}{
		"killed": {
			func(t *testing.T, s *readySandbox) error {
				defer s.Discard()
				return unix.Kill(zygotePID(t, s.fork.zygote), unix.SIGKILL)
			}, exited,
		},
		"stopped while it owes a report": {
			func(t *testing.T, s *readySandbox) error {
				defer s.Discard()
				return unix.Kill(zygotePID(t, s.fork.zygote), unix.SIGSTOP)
			}, stuck,
		},
		"replaced since it does not fork": {
			func(_ *testing.T, s *readySandbox) error {
				s.Discard()
				s.fork.zygote.isUnfit.Store(true)
				s.fork.zygote.retire()
				return nil
			}, stuck,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warm, c := openCounted(t, 1000)
			c.await(t, 1, nil)
			if err := test.end(t, acquirePlain(t, warm)); err != nil {
				t.Fatal(err)
			}
			c.await(t, 2, map[string]int{test.reason: 1})
			warm.Close()
			c.await(t, 2, map[string]int{test.reason: 1})
		})
	}
}

// A zygote that needs more memory than it may have does not start.
func TestAFailedStartIsADeath(t *testing.T) {
	t.Parallel()
	s, c := sandboxtest.Defaults[settings](t), &counts{}
	s.Zygote.Metrics, s.Zygote.MemoryMB = c, 1
	h := sandboxtest.OpenHost(t, s.Settings)
	if p, err := NewProvider(t.Context(), h, s.Zygote, 1, sandboxtest.Logger(t), nil); err == nil {
		p.Close()
		t.Fatal("a zygote started in 1 MiB")
	}
	c.await(t, 0, map[string]int{diedAtStart: 1})
}
