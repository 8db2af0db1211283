package zygote

import (
	"cmp"
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cellblock/internal/nsjail/host"
)

// onDemandPool is a pool that starts on demand, for packages that few scripts need: its zygote takes memory and time to
// start. Scripts do not wait for it; until it is ready, they import the packages themselves. It also starts once no job
// needs the machine, if there is memory enough. A nil onDemandPool matches no script.
type onDemandPool struct {
	packages []string
	// kind is the name of the kind of its sandboxes.
	kind   string
	names  *regexp.Regexp
	start  func(context.Context) (*pool, error)
	logger *slog.Logger

	// ctx cancels a start that is under way; startGroup waits for it.
	ctx        context.Context //nolint:containedctx // of the goroutine that get starts
	stop       context.CancelFunc
	startGroup sync.WaitGroup

	// idle is how long no job must have run before the pool starts by itself, and memoryBytes how much memory must be
	// available then.
	idle        time.Duration
	memoryBytes int64
	activity    *activity

	mu         sync.Mutex
	pool       *pool
	isStarting bool
	// retryAt is when a failed start may be retried.
	retryAt time.Time
}

const (
	// onDemandRetry is the pause after a failed start.
	onDemandRetry = time.Minute
	// onDemandIdle is the default of Settings.OnDemandIdle.
	onDemandIdle = 10 * time.Second
)

// newOnDemandPool returns a pool for scripts that name one of the packages names. It is not started yet. The caller
// must close it.
func newOnDemandPool(ctx context.Context, names []string, config poolConfig) *onDemandPool {
	// Detached from ctx: the pool starts at the first job that needs it, and other jobs use it too.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &onDemandPool{
		packages: names, kind: kindName(config.packages), names: anyOf(names), logger: config.logger, ctx: own,
		stop:  stop,
		start: func(ctx context.Context) (*pool, error) { return newPool(ctx, config) },
		idle:  cmp.Or(config.settings.OnDemandIdle, onDemandIdle), memoryBytes: 2 * config.settings.MemoryMB << 20,
		activity: config.activity,
	}
	l.startGroup.Go(l.startWhenIdle)
	return l
}

// startWhenIdle starts the pool once no job has run for a while, unless a script has started it before.
func (l *onDemandPool) startWhenIdle() {
	ticker := time.NewTicker(l.idle / 4)
	defer ticker.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-ticker.C:
		}
		if l.activity.idleFor() >= l.idle && host.AvailableMemory() >= l.memoryBytes {
			l.get()
			return
		}
	}
}

// matches reports whether the script names one of the packages.
func (l *onDemandPool) matches(script string) bool {
	if l == nil {
		return false
	}
	// The plain search is fast and rules out nearly every script.
	named := func(name string) bool { return strings.Contains(script, name) }
	return slices.ContainsFunc(l.packages, named) && l.names.MatchString(script)
}

// get returns the pool; nil if it is not ready. It starts the pool if no start is under way and
// none failed within onDemandRetry.
func (l *onDemandPool) get() *pool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pool == nil && !l.isStarting && l.ctx.Err() == nil && time.Now().After(l.retryAt) {
		l.isStarting = true
		l.startGroup.Go(l.openPool)
	}
	return l.pool
}

// ready returns how many sandboxes wait for a job, without starting the pool.
func (l *onDemandPool) ready() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pool == nil {
		return 0
	}
	return int(l.pool.waiting.Load())
}

func (l *onDemandPool) openPool() {
	p, err := l.start(l.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isStarting = false
	switch {
	case err == nil:
		l.pool = p
	case l.ctx.Err() == nil:
		l.retryAt = time.Now().Add(onDemandRetry)
		l.logger.Warn("zygote start failed; scripts import its packages themselves", "error", err,
			"again_in", onDemandRetry)
	}
}

// close stops the pool, also one that is starting. get must not be called any more.
func (l *onDemandPool) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.stop() // no start begins after this
	l.mu.Unlock()
	l.startGroup.Wait()
	if l.pool != nil {
		l.pool.close()
	}
}

// anyOf returns an expression that matches any of the names as a word.
func anyOf(names []string) *regexp.Regexp {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return regexp.MustCompile(`\b(` + strings.Join(quoted, "|") + `)\b`)
}
