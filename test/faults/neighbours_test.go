package faults

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// neighbours are what goes on beside the jobs of a load: a customer for each owner, and a spy for each tenant.
type neighbours struct {
	customers []*customer
	spies     []*spy
	stopping  chan struct{}
	busy      sync.WaitGroup
	spying    sync.WaitGroup
	endSpies  context.CancelFunc
}

func (n *neighbours) start(ctx context.Context, b *fixture) {
	n.stopping = make(chan struct{})
	spying, cancel := context.WithCancel(ctx)
	n.endSpies = cancel
	for i, self := range b.owners {
		c := &customer{owner: self, url: b.URL}
		n.customers = append(n.customers, c)
		n.busy.Go(func() { c.run(ctx, n.stopping) })
		if i == theOperator {
			continue // sees everything
		}
		s := &spy{self: self, url: b.URL, tries: map[int]int{}}
		for j, other := range b.owners {
			if j != i {
				s.others = append(s.others, other)
			}
		}
		n.spies = append(n.spies, s)
		n.spying.Go(func() { s.run(spying) })
	}
}

// stop lets the customers end their rounds; the spies go on until then.
func (n *neighbours) stop() {
	close(n.stopping)
	n.busy.Wait()
	n.endSpies()
	n.spying.Wait()
}

// verify checks what the neighbours saw, and that none of their jobs ran twice.
func (n *neighbours) verify(t *testing.T, ran map[string]int, may losses) {
	t.Helper()
	for _, s := range n.spies {
		s.verify(t)
	}
	for _, c := range n.customers {
		t.Logf("the customer %s: %d jobs ended, %d things lost", c.name, c.ended, len(c.lost))
		if len(c.wrong) > 0 || may == mayLoseNothing && len(c.lost) > 0 {
			t.Errorf("the customer %s: %q, lost %q", c.name, c.wrong, c.lost)
		}
		if refused := c.refused.Load(); refused > 0 && may != mayLoseEverything {
			t.Errorf("%d requests of %s got %d or %d", refused, c.name, http.StatusUnauthorized, http.StatusForbidden)
		}
	}
	for line, times := range ran {
		if strings.Contains(line, "-") && times > 1 && may != mayLoseEverything {
			t.Errorf("the job %s of a customer ran %d times", line, times)
		}
	}
}

// ran returns how many jobs of the load ran.
func (l *load) ran(lines map[string]int) (n int) {
	for _, j := range l.jobs {
		if lines[fmt.Sprint(j.number)] > 0 {
			n++
		}
	}
	return n
}
