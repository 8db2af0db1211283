package dispatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// Many who come at once are all served, though together they take far longer than one
// may, and no more of them than there are places are at it at once.
func TestACrowdIsServedInTurn(t *testing.T) {
	turns := newTurns()
	var all sync.WaitGroup
	for range 20 * acceptsAtOnce {
		all.Go(func() {
			patience, release, err := turns.take(t.Context())
			if err != nil || patience < acceptTimeout/2 {
				t.Errorf("%s, %v", patience, err)
				return
			}
			defer release()
			time.Sleep(acceptTimeout / 8)
			turns.moved()
		})
	}
	all.Wait()
}

// While nobody is accepted, all hear of it in time: also those that get no turn.
func TestACrowdHearsOfAnOutageInTime(t *testing.T) {
	turns := newTurns()
	var all sync.WaitGroup
	for range 4 * acceptsAtOnce {
		all.Go(func() {
			start := time.Now()
			patience, release, err := turns.take(t.Context())
			if err == nil {
				time.Sleep(patience)
				release()
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if took := time.Since(start); took > acceptTimeout+acceptTimeout/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
	all.Wait()
}
