package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/test/stack"
)

// chaos ends parts of the service at random and starts them again.
type chaos struct {
	*fixture
	// mean is the mean time between two faults.
	mean time.Duration
	// apiUntil is when the API is killed for the last time: its leaks after that add up.
	apiUntil time.Time
	kills    map[string]int
}

// progressInterval is the time between two progress lines.
const progressInterval = 15 * time.Second

// run runs until ctx is done. No other goroutine starts or ends processes meanwhile.
func (c *chaos) run(ctx context.Context, l *load) error {
	deed := time.NewTimer(c.interval())
	defer deed.Stop()
	reap := time.NewTicker(time.Second)
	defer reap.Stop()
	progress := time.NewTicker(progressInterval)
	defer progress.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-progress.C:
			fmt.Println(l.progress() + c.usageLine(ctx))
		case <-reap.C:
			c.reapOrphans()
		case <-deed.C:
			// A fault that has begun is completed: the service must be whole at the end.
			if err := c.injectFault(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			deed.Reset(c.interval())
		}
	}
}

// interval returns half to one and a half times the mean.
func (c *chaos) interval() time.Duration {
	return time.Duration((0.5 + rand.Float64()) * float64(c.mean))
}

func (c *chaos) injectFault(ctx context.Context) error {
	if time.Now().Before(c.apiUntil) && rand.IntN(5) == 0 || c.kills["API killed"] == 0 {
		c.kills["API killed"]++
		c.API.Kill()
		return c.RestartAPI(ctx)
	}
	others := slices.DeleteFunc(c.alive(), func(p *stack.Process) bool { return p == c.permanentWorker() })
	victim := others[rand.IntN(len(others))]
	if rand.IntN(4) == 0 {
		c.kills["worker stopped"]++
		if err := victim.Stop(); err != nil {
			return fmt.Errorf("%w; it wrote:\n%.5000s", err, victim.Log())
		}
	} else {
		c.kills["worker killed"]++
		victim.Kill()
	}
	return c.startWorker(ctx)
}

// reapOrphans reaps processes that this program inherited when their parents were killed.
func (b *fixture) reapOrphans() {
	ours := map[int]bool{b.API.PID(): true, b.Redis.PID(): true}
	for _, p := range b.Workers() {
		ours[p.PID()] = true
	}
	for _, pid := range stack.Descendants(unix.Getpid()) {
		if !ours[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // most are children of other processes
		}
	}
}
