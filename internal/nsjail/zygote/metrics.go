package zygote

import (
	"errors"
	"strings"
	"time"
)

// Metrics counts what zygotes do. It is safe for concurrent use.
type Metrics interface {
	// ZygoteStarted counts a zygote of an environment that started and made a first sandbox.
	ZygoteStarted(environment string)
	// ZygoteDied counts one that did not start, or ended otherwise than as planned; reason is one of DeathReasons.
	ZygoteDied(environment, reason string)
	// Forked counts a sandbox that became ready that long after its zygote was asked for it.
	Forked(took time.Duration)
	// RanCold counts a job that got a cold sandbox although warm ones are wanted.
	RanCold()
}

// Why a zygote ended otherwise than as planned; docs/metrics.md describes the reasons.
const (
	diedAtStart = "start"
	exited      = "exited"
	lackMemory  = "memory"
	stuck       = "stuck"
)

// DeathReasons returns the reasons for which a zygote may end otherwise than as planned.
func DeathReasons() []string { return []string{diedAtStart, exited, lackMemory, stuck} }

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) ZygoteStarted(string) {}

func (noMetrics) ZygoteDied(string, string) {}

func (noMetrics) Forked(time.Duration) {}

func (noMetrics) RanCold() {}

// metrics returns Settings.Metrics, or metrics that count nothing.
func (s Settings) metrics() Metrics {
	if s.Metrics == nil {
		return noMetrics{}
	}
	return s.Metrics
}

// CountCold counts a job that got a cold sandbox although warm ones are wanted.
func (s Settings) CountCold() { s.metrics().RanCold() }

// die counts the death of the zygote; further calls do nothing.
func (z *zygote) die(reason string) {
	z.deathOnce.Do(func() { z.settings.metrics().ZygoteDied(z.environment, reason) })
}

// noteLoss counts the death of a zygote whose control socket broke, unless it was closed.
func (z *zygote) noteLoss() {
	if z.closing.Load() {
		return
	}
	switch {
	case z.ranOutOfMemory():
		z.die(lackMemory)
	case z.hangs.Load():
		z.die(stuck)
	default:
		z.die(exited)
	}
}

// ranOutOfMemory reports whether the kernel killed a process of the zygote's own cgroup, if it has one.
func (z *zygote) ranOutOfMemory() bool {
	if z.group == nil {
		return false
	}
	stats, err := z.group.Stats()
	return err == nil && stats.OOMKills > 0
}

// plainKind is the kind of sandboxes without packages.
const plainKind = "plain"

// kindName returns the name of the kind of sandboxes whose zygote has packages loaded.
func kindName(packages []string) string {
	if len(packages) == 0 {
		return plainKind
	}
	return strings.Join(packages, ",")
}

// ReadyByKind returns how many sandboxes wait for a job, by kind: plain, or the packages that are loaded.
func (p *Provider) ReadyByKind() map[string]int {
	ready := map[string]int{plainKind: int(p.plain.waiting.Load())}
	for _, loaded := range p.loaded {
		ready[kindName(loaded.packages)] = int(loaded.waiting.Load())
	}
	if p.onDemand != nil {
		ready[p.onDemand.kind] = p.onDemand.ready()
	}
	return ready
}

// ReadyByKind is that of a Provider. It has one kind, also without a zygote.
func (e *Environment) ReadyByKind() map[string]int {
	return map[string]int{kindName(e.config.packages): e.Ready()}
}

// countLaunch counts the start of a zygote, or its failure. z is nil if there is none.
func (p *pool) countLaunch(z *zygote, err error, isStopping bool) {
	switch {
	case err == nil:
		p.settings.metrics().ZygoteStarted(p.python.Environment)
	case isStopping, errors.Is(err, errHost):
	case z == nil:
		p.settings.metrics().ZygoteDied(p.python.Environment, diedAtStart)
	default:
		z.die(diedAtStart)
	}
}
