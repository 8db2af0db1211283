package zygote

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"sync"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
)

// Kind is the kind of the sandboxes made here.
const Kind = "warm"

// Kind implements nsjail.Provider.
func (*Provider) Kind() string { return Kind }

// MaxReady is the most sandboxes that a Provider keeps ready. Each of its pools keeps that many, as many run, and more
// are being made or torn down; each of them has its own user id.
const MaxReady = 512

// Provider makes warm sandboxes: forks of zygotes, confined before a job needs them. It is safe for concurrent use.
type Provider struct {
	plain *pool
	// loaded are the pools with packages of PRELOAD: the first one alone, if there are more, and all of them.
	loaded []*loadedPool
	// onDemand has the packages of PRELOAD_ON_DEMAND; nil if there are none.
	onDemand *onDemandPool
}

// loadedPool is a pool whose zygotes have packages loaded.
type loadedPool struct {
	*pool

	// names matches the names of the packages that no pool before it has.
	names *regexp.Regexp
}

// Acquire returns a sandbox that is ready for the script; see Provider.Acquire.
type Acquire func(ctx context.Context, script string) (*sandbox.Sandbox, error)

// NewProvider starts the zygotes and keeps ready sandboxes of each kind ready: plain, with the first package of
// settings.Preload loaded, and with all of them. It returns an error if warm sandboxes are not possible on this
// machine, and leaves nothing behind then. The caller must call Close, before it closes the host.
//
// It calls try with plain sandboxes, while the packages are being loaded, and returns its error; try may be nil.
func NewProvider(
	ctx context.Context, h *host.Host, settings Settings, ready int, logger *slog.Logger, try func(Acquire) error,
) (*Provider, error) {
	if err := errors.Join(writeFiles(h), writeConfig(h, h.Interpreter)); err != nil {
		return nil, err
	}
	activity := newActivity()
	config := func(packages []string) poolConfig {
		return poolConfig{
			host: h, settings: settings, kind: kind{python: h.Interpreter, packages: packages}, size: ready,
			logger: logger.With("zygote", kindName(packages)), activity: activity,
		}
	}
	packages, p := settings.packages(), &Provider{}
	if names := settings.onDemand(); len(names) > 0 {
		p.onDemand = newOnDemandPool(ctx, names, config(slices.Concat(packages, names)))
	}
	var err error
	if p.plain, err = newPool(ctx, config(nil)); err != nil {
		p.onDemand.close()
		return nil, err
	}
	var loading sync.WaitGroup
	splits := splitPreload(packages)
	errs := make([]error, len(splits))
	for i, split := range splits {
		loaded := &loadedPool{names: anyOf(split.own)}
		p.loaded = append(p.loaded, loaded)
		loading.Go(func() { loaded.pool, errs[i] = newPool(ctx, config(split.packages)) })
	}
	if try != nil {
		err = try(p.plain.acquireSandbox)
	}
	loading.Wait()
	if err := errors.Join(err, errors.Join(errs...)); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// split is what a loaded pool has: its packages, and those of them that no pool before it has.
type split struct{ packages, own []string }

// splitPreload divides packages between pools. Scripts often name only the first one (numpy), whose zygote is a
// fraction of the others' size, and so are its forks' costs.
func splitPreload(packages []string) []split {
	switch len(packages) {
	case 0:
		return nil
	case 1:
		return []split{{packages, packages}}
	default:
		return []split{{packages[:1], packages[:1]}, {packages, packages[1:]}}
	}
}

// Acquire returns a ready sandbox for the script: one with packages loaded if the script names any of them. It blocks
// for acquireBound at most. The caller owns the sandbox and must call Run or Discard.
func (p *Provider) Acquire(ctx context.Context, script string) (*sandbox.Sandbox, error) {
	return p.poolFor(script).acquireSandbox(ctx, script)
}

// acquireSandbox is acquire for callers that need to know nothing of forks. The script makes no difference.
func (p *pool) acquireSandbox(ctx context.Context, _ string) (*sandbox.Sandbox, error) {
	s, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	s.acquired.Store(true)
	p.activity.begin()
	return s.Sandbox, nil
}

// poolFor returns the pool whose zygote has loaded what the script names.
func (p *Provider) poolFor(script string) *pool {
	if p.onDemand.matches(script) {
		if started := p.onDemand.get(); started != nil {
			return started
		}
	}
	for _, loaded := range slices.Backward(p.loaded) {
		if loaded.names.MatchString(script) {
			return loaded.pool
		}
	}
	return p.plain
}

// Ready returns how many sandboxes wait for a job, of all kinds together.
func (p *Provider) Ready() int {
	n := 0
	for _, ready := range p.ReadyByKind() {
		n += ready
	}
	return n
}

// Close ends the zygotes and every sandbox in them. It closes the pools concurrently, since each
// may take as long as a zygote that does not die.
func (p *Provider) Close() {
	var closing sync.WaitGroup
	closing.Go(p.onDemand.close)
	for _, loaded := range p.loaded {
		if loaded.pool != nil {
			closing.Go(loaded.close)
		}
	}
	closing.Go(p.plain.close)
	closing.Wait()
}
