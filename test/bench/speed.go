package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/zygote"
	"cellblock/test/stack"
)

// clients is the number of concurrent clients in the throughput measurement.
const clients = 8

// speed is the throughput of one script, measured in three ways.
type speed struct {
	Script string `json:"script"`
	// Service is over HTTP with the whole stack and warm sandboxes, Direct with the same sandboxes driven by this
	// program, Bare with one nsjail for each core.
	Service float64 `json:"service_per_second"`
	Direct  float64 `json:"direct_per_second"`
	Bare    float64 `json:"bare_per_second"`
}

// rounds is how often each way is measured, alternately, so that the machine's fluctuations affect all alike.
const rounds = 3

func measureSpeed(ctx context.Context, o options, programs stack.Programs, dir string) (_ []speed, err error) {
	s, err := stack.Start(ctx,
		stack.Config{
			Programs: programs,
			Workers:  []stack.Env{{"SANDBOX": "warm", "NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python}},
		})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	var all []speed
	for _, script := range speedScripts() {
		result := speed{Script: script.name}
		bare, err := newBare(ctx, o, filepath.Join(dir, script.name), script.text+exitAfterFinalizing)
		if err != nil {
			return nil, err
		}
		for range rounds {
			service := newService(s.URL, script.text)
			if err := addRound(ctx, &result.Service, o, clients, service.call); err != nil {
				return nil, err
			}
			if err := direct(ctx, o,
				script.text,
				func(call caller) error { return addRound(ctx, &result.Direct, o, clients, call) }); err != nil {
				return nil, err
			}
			if err := addRound(ctx, &result.Bare, o, thisMachine().Cores, bare.call); err != nil {
				return nil, err
			}
		}
		all = append(all, result)
	}
	return all, nil
}

func speedScripts() []struct{ name, text string } {
	return []struct{ name, text string }{scripts[1], {"return 1", "def main():\n    return 1\n"}}
}

// caller runs a script once.
type caller func(context.Context) (time.Duration, error)

// addRound measures one round and adds its share to a mean.
func addRound(ctx context.Context, mean *float64, o options, workers int, call caller) error {
	rate, err := throughput(ctx, workers, o.round, call)
	*mean += rounded(rate / rounds)
	return err
}

// throughput calls call from several goroutines for the given length, after a short warm-up, and returns the calls per
// second.
func throughput(ctx context.Context, workers int, length time.Duration, call caller) (float64, error) {
	var done atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, workers)
	begin := time.Now().Add(length / 5)
	end := begin.Add(length)
	for range workers {
		group.Go(func() {
			for time.Now().Before(end) {
				if _, err := call(ctx); err != nil {
					failures <- err
					return
				}
				if now := time.Now(); now.After(begin) && now.Before(end) {
					done.Add(1)
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return 0, err
	default:
		return float64(done.Load()) / length.Seconds(), nil
	}
}

// direct creates warm sandboxes in this program, as the worker does, and passes them to use.
func direct(ctx context.Context, o options, script string, use func(caller) error) error {
	provider, done, err := openProvider(ctx, o, thisMachine().Cores)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, thisMachine().Cores)
	err = use(func(ctx context.Context) (time.Duration, error) {
		slots <- struct{}{}
		defer func() { <-slots }()
		began := time.Now()
		sandbox, err := provider.Acquire(ctx, script)
		if err != nil {
			return 0, err
		}
		if outcome := sandbox.Run(ctx, script, jobs.EntryMain, nil); outcome.Failure != nil {
			return 0, fmt.Errorf("direct: %s", outcome.Failure.Message)
		}
		return time.Since(began), nil
	})
	return errors.Join(err, done())
}

// openProvider creates warm sandboxes with the default settings and ready of them in the pool.
func openProvider(ctx context.Context, o options, ready int) (nsjail.Provider, func() error, error) {
	var settings struct {
		Sandbox nsjail.Settings `embed:""`
	}
	parser, err := kong.New(&settings, kong.Vars{"prefix": host.DefaultPrefix()})
	if err != nil {
		return nil, nil, err
	}
	if _, err := parser.Parse([]string{"--nsjail=" + o.nsjail, "--python=" + o.python}); err != nil {
		return nil, nil, err
	}
	host, err := nsjail.Open(ctx, settings.Sandbox)
	if err != nil {
		return nil, nil, err
	}
	provider, err := zygote.NewProvider(ctx, host, settings.Sandbox.Zygote, ready, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	return provider, func() error {
		provider.Close()
		return host.Close()
	}, nil
}
