package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// monitorTick is how often the monitor checks, and pingInterval how often it pings.
	monitorTick  = 50 * time.Millisecond
	pingInterval = 200 * time.Millisecond
	// silenceLimit is the silence after which waits end: three pings in a row without an answer. A
	// request that fails with ErrSilent still has to withdraw its job, and both together stay near one
	// second.
	silenceLimit = 3*pingInterval + 2*monitorTick
	// A Redis that has taken a large command may be silent while it runs it: 16 MiB in a script keep
	// a Redis that shares its processor with ten busy processes for 0.7 s. silencePerByte is how much
	// longer the silence may last for each byte that Redis took and has not answered yet, up to
	// maxLargeSilence. Bytes that are only in the sockets' buffers count too, which the kernel does
	// not distinguish: a Redis that freezes beside large commands is noticed that much later.
	silencePerByte  = 50 * time.Nanosecond
	maxLargeSilence = 600 * time.Millisecond
	// ownSilencePerByte and maxOwnSilence are the same for the wait of the large command itself, which has more time:
	// on a busy machine the pages for 16 MiB, several times over, take a Redis with a tenth of a processor seconds.
	ownSilencePerByte = 250 * time.Nanosecond
	maxOwnSilence     = 4 * time.Second
	// maxPings limits the pings in flight. A Redis that takes ioTimeout to answer still answers one
	// ping per interval.
	maxPings = int(ioTimeout/pingInterval) + 1
	// pingIdle is how long a connection that no ping needs any more stays open.
	pingIdle = time.Minute
)

// ErrSilent is the error of a command, and the cause of a Guard's context, when Redis sent nothing
// at all for too long.
var ErrSilent = errors.New("redis does not answer")

// Monitor detects that Redis is absent, and ends the waits for it.
//
// It pings on separate connections, five times a second, without waiting for the answer to one ping
// before it sends the next. Redis is in one of two states:
//
//   - answering: Redis sent bytes, on any connection of the monitor or of its client, within the
//     last silenceLimit. A wait continues, however long Redis takes.
//   - silent: Redis sent nothing for silenceLimit, or somewhat longer while it has a large command to
//     run, and up to maxOwnSilence longer for that command. Each wait ends with ErrSilent once the
//     silence has lasted that long since the wait began, so that a wait does not fail just as Redis
//     comes back.
//
// The silence is measured on a clock that stops while this process does not get the processor: a
// busy machine is not an absent Redis. A refused or broken connection is not silence: its command
// fails at once.
//
// A Monitor is safe for concurrent use. Close must be called.
type Monitor struct {
	client, pinger redis.UniversalClient
	stop           context.CancelFunc
	parts          sync.WaitGroup
	pings          chan struct{} // one value for each ping in flight

	// clock is how long this process has run since the monitor started, and answered is the clock's
	// value when Redis last answered; both are time.Durations.
	clock, answered atomic.Int64
	unanswered      atomic.Int64 // bytes sent on connections on which Redis has not answered since

	mu    sync.Mutex
	waits map[*wait]struct{}
}

// wait is one wait for Redis.
type wait struct {
	since int64  // by the monitor's clock
	extra int64  // nanoseconds of silence beyond silenceLimit that this wait allows
	end   func() // called once, under the monitor's lock
}

// Monitor starts a monitor of the settings' Redis, which need not be reachable yet. The caller
// closes it.
func (s Settings) Monitor() (*Monitor, error) {
	m := &Monitor{pings: make(chan struct{}, maxPings), waits: map[*wait]struct{}{}}
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	m.client = s.open(options)
	m.client.AddHook(monitorHook{monitor: m})
	options, err = s.options()
	if err != nil {
		return nil, err
	}
	options.PoolSize, options.MaxRetries, options.ConnMaxIdleTime = maxPings, -1, pingIdle
	m.pinger = s.open(options)
	m.pinger.AddHook(monitorHook{monitor: m, pings: true})
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.parts.Go(func() { m.run(ctx) })
	return m, nil
}

// Client returns a client whose commands fail with ErrSilent while Redis is silent, and otherwise
// wait as long as their contexts allow. The monitor owns it and closes it. It is for commands that
// answer at once: one that blocks in Redis is ended too.
func (m *Monitor) Client() redis.UniversalClient { return m.client }

// Close ends the monitor, and closes its client.
func (m *Monitor) Close() error {
	m.stop()
	err := errors.Join(m.client.Close(), m.pinger.Close()) // also ends the pings
	m.parts.Wait()
	if err != nil {
		return fmt.Errorf("close the Redis clients: %w", err)
	}
	return nil
}

// Guard returns a context that is cancelled with the cause ErrSilent once Redis has been silent for
// too long. The caller calls cancel.
func (m *Monitor) Guard(ctx context.Context) (guarded context.Context, cancel context.CancelFunc) {
	guarded, end := context.WithCancelCause(ctx)
	done := m.wait(0, func() { end(ErrSilent) })
	return guarded, func() {
		done()
		end(nil)
	}
}

// wait calls end once Redis has been silent for too long since now, unless done is called first.
// end is not called after done has returned. own is how many bytes Redis has yet to answer for this
// wait to end.
func (m *Monitor) wait(own int64, end func()) (done func()) {
	extra := min(maxOwnSilence, time.Duration(own)*ownSilencePerByte)
	w := &wait{since: m.clock.Load(), extra: int64(extra), end: end}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits[w] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.waits, w)
	}
}

// noteAnswer records that Redis answered.
func (m *Monitor) noteAnswer() { m.answered.Store(m.clock.Load()) }

// run advances the clock, pings, and ends waits, until ctx is done.
func (m *Monitor) run(ctx context.Context) {
	ticker := time.NewTicker(monitorTick)
	defer ticker.Stop()
	m.ping(ctx)
	silent, last, pinged := false, time.Now(), int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		// A late tick means that this process was not running in between.
		clock := m.clock.Add(int64(min(now.Sub(last), monitorTick*3/2)))
		last = now
		if clock-pinged >= int64(pingInterval) {
			pinged = clock
			m.ping(ctx)
		}
		if is := clock-m.answered.Load() >= int64(m.silenceLimit()); is != silent {
			silent = is
			slog.WarnContext(ctx, "state of Redis changed", "answers", !silent)
		}
		m.endWaits(clock)
	}
}

// silenceLimit returns the silence after which waits end now.
func (m *Monitor) silenceLimit() time.Duration {
	return silenceLimit + min(maxLargeSilence, time.Duration(m.unanswered.Load())*silencePerByte)
}

// ping sends one more ping, unless too many are in flight.
func (m *Monitor) ping(ctx context.Context) {
	select {
	case m.pings <- struct{}{}:
	default:
		return
	}
	m.parts.Go(func() {
		defer func() { <-m.pings }()
		_ = m.pinger.Ping(ctx).Err() // its connection records the answer
	})
}

func (m *Monitor) endWaits(clock int64) {
	answered, limit := m.answered.Load(), int64(m.silenceLimit())
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.waits {
		if clock-max(answered, w.since) >= max(limit, int64(silenceLimit)+w.extra) {
			delete(m.waits, w)
			w.end()
		}
	}
}
