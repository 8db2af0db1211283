package zygote

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
)

// Kind is the kind of the sandboxes made here.
const Kind = "warm"

// Kind implements nsjail.Provider.
func (*Provider) Kind() string { return Kind }

// MaxReady is the most sandboxes that a Provider keeps ready. Each of its pools keeps that many, as many run, and others
// are being made or torn down; each of them has its own user id.
const MaxReady = 512

// Provider makes warm sandboxes: forks of zygotes, confined before a job needs them. It is safe for concurrent use.
type Provider struct {
	plain, loaded *pool
	// names matches the names of the preloaded packages in a script.
	names *regexp.Regexp
	// onDemand has the packages of PRELOAD_ON_DEMAND; nil if there are none.
	onDemand *onDemandPool
}

// NewProvider starts the zygotes and keeps ready sandboxes of each kind ready: with the packages of settings.Preload
// loaded, and plain. It returns an error if warm sandboxes are not possible on this machine, and leaves nothing behind
// then. The caller must call Close, before it closes the host.
func NewProvider(
	ctx context.Context, h *host.Host, settings Settings, ready int, logger *slog.Logger,
) (*Provider, error) {
	if err := writeFiles(h); err != nil {
		return nil, err
	}
	config := func(name string, packages []string) poolConfig {
		return poolConfig{
			host: h, settings: settings, packages: packages, size: ready,
			logger: logger.With("zygote", name),
		}
	}
	packages, p := settings.packages(), &Provider{}
	if names := settings.onDemand(); len(names) > 0 {
		all := slices.Concat(packages, names)
		p.onDemand = newOnDemandPool(ctx, names, config(strings.Join(all, ","), all))
	}
	var err error
	if p.plain, err = newPool(ctx, config("plain", nil)); err != nil {
		p.onDemand.close()
		return nil, err
	}
	if len(packages) == 0 {
		return p, nil
	}
	p.names = anyOf(packages)
	if p.loaded, err = newPool(ctx, config(strings.Join(packages, ","), packages)); err != nil {
		p.onDemand.close()
		p.plain.close()
		return nil, err
	}
	return p, nil
}

// Acquire returns a ready sandbox for the script: one with packages loaded if the script names any of them. It blocks
// for acquireBound at most. The caller owns the sandbox and must call Run or Discard.
func (p *Provider) Acquire(ctx context.Context, script string) (*sandbox.Sandbox, error) {
	s, err := p.poolFor(script).acquire(ctx)
	if err != nil {
		return nil, err
	}
	return s.Sandbox, nil
}

// poolFor returns the pool whose zygote has loaded what the script names.
func (p *Provider) poolFor(script string) *pool {
	if p.onDemand.matches(script) {
		if started := p.onDemand.get(); started != nil {
			return started
		}
	}
	if p.names != nil && p.names.MatchString(script) {
		return p.loaded
	}
	return p.plain
}

// Close ends the zygotes and every sandbox in them. It closes the pools concurrently, since each
// may take as long as a zygote that does not die.
func (p *Provider) Close() {
	var closing sync.WaitGroup
	closing.Go(p.onDemand.close)
	if p.loaded != nil {
		closing.Go(p.loaded.close)
	}
	closing.Go(p.plain.close)
	closing.Wait()
}
