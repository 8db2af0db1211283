package dispatch

import (
	"context"
	"maps"
	"slices"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

const (
	// describedInterval is how often the descriptions of environments are read: some may have been forgotten.
	describedInterval = time.Minute
	// undescribedInterval is the same while a live worker has an environment without one.
	undescribedInterval = 5 * time.Second
	// wholeInterval is how often all workers are read though none has reported a change: the state may miss one.
	wholeInterval = 30 * time.Second
)

// fleet is what is known of the workers and their environments. It is immutable; its zero value knows nothing. Names of
// environments are never "".
type fleet struct {
	// expected are the environments that are known without a worker.
	expected []string
	// limits are the maximum limits of the workers with each environment, each once, as they were when one was last
	// alive: returning workers mostly have the same.
	limits map[string][]jobs.RequestedLimits
	// live are the hashes that live workers report for each environment, one for each worker.
	live map[string][]string
	// seen is when a worker with each environment was last alive, and silent when Redis last did not answer: any may
	// have been alive then.
	seen   map[string]time.Time
	silent time.Time
	// readAt is when the workers were last read, state what store.FleetUnless returned, and wholeAt when it last
	// returned all workers.
	readAt, wholeAt time.Time
	state           string
	// described are the descriptions, read at describedAt; the one renewed last is first.
	described   []jobs.Environment
	describedAt time.Time
}

// seenAt returns when a worker with an environment was last alive, or may have been; zero if none was. "" is the
// default.
func (f *fleet) seenAt(environment string) time.Time {
	if environment == "" {
		environment = jobs.DefaultEnvironment
	}
	seen := f.seen[environment]
	if f.silent.After(seen) {
		return f.silent
	}
	return seen
}

// names returns the environments that there are: described ones, those of workers, and expected ones.
func (f *fleet) names() []string {
	all := map[string]bool{}
	for _, name := range f.expected {
		all[name] = true
	}
	for name := range f.limits {
		all[name] = true
	}
	for _, environment := range f.described {
		all[environment.Name] = true
	}
	return slices.SortedFunc(maps.Keys(all), jobs.CompareEnvironments)
}

// isEmpty reports whether no environment has ever been reported.
func (f *fleet) isEmpty() bool { return len(f.limits) == 0 && len(f.described) == 0 }

// environments returns what is known of each environment, the default first.
func (f *fleet) environments() []jobs.EnvironmentStatus {
	names := f.names()
	all := make([]jobs.EnvironmentStatus, len(names))
	for i, name := range names {
		all[i] = f.environment(name)
	}
	return all
}

// environment returns what is known of an environment. If live workers have several versions, it describes the one
// that was described last.
func (f *fleet) environment(name string) jobs.EnvironmentStatus {
	hashes := slices.Compact(slices.Sorted(slices.Values(f.live[name])))
	status := jobs.EnvironmentStatus{
		Environment: jobs.Environment{Name: name}, Hashes: hashes, Workers: len(f.live[name]),
	}
	found := false
	for _, described := range f.described {
		isLive := slices.Contains(hashes, described.Hash)
		if described.Name == name && (isLive || !found) {
			status.Environment, found = described, true
			if isLive {
				break
			}
		}
	}
	status.Hashes = slices.DeleteFunc(status.Hashes, func(hash string) bool { return hash == "" })
	if status.Workers == 0 && status.Hash != "" {
		status.Hashes = []string{status.Hash}
	}
	return status
}

// isDescribed reports whether there is a description of everything that live workers have.
func (f *fleet) isDescribed() bool {
	for name, hashes := range f.live {
		for _, hash := range hashes {
			fits := func(d jobs.Environment) bool { return d.Name == name && d.Hash == hash }
			if hash != "" && !slices.ContainsFunc(f.described, fits) {
				return false
			}
		}
	}
	return true
}

// unchanged returns the fleet after it was found at a time that the workers are the same.
func (f *fleet) unchanged(at time.Time) *fleet {
	next := *f
	next.readAt, next.seen = at, maps.Clone(f.seen)
	for name := range f.live {
		next.seen[name] = at
	}
	return &next
}

// with returns the fleet after the workers were read at a time.
func (f *fleet) with(workers store.Fleet, at time.Time) *fleet {
	next := *f
	next.readAt, next.wholeAt = at, at
	next.live, next.seen, next.limits = map[string][]string{}, maps.Clone(f.seen), maps.Clone(f.limits)
	if next.seen == nil {
		next.seen, next.limits = map[string]time.Time{}, map[string][]jobs.RequestedLimits{}
	}
	for _, worker := range workers {
		for name, hash := range worker.Environments {
			if jobs.IsEnvironmentName(name) {
				next.live[name] = append(next.live[name], hash)
			}
		}
	}
	for name := range next.live {
		next.seen[name], next.limits[name] = at, distinct(workers.Limits(name))
	}
	return &next
}

// distinct returns each of some limits once: most workers of a fleet have the same.
func distinct(limits []jobs.RequestedLimits) []jobs.RequestedLimits {
	seen := map[jobs.RequestedLimits]bool{}
	return slices.DeleteFunc(limits, func(l jobs.RequestedLimits) bool {
		known := seen[l]
		seen[l] = true
		return known
	})
}

// rereadFleet is refreshFleet, unless what is known has been read again since. It ends when ctx does while others read,
// and once Redis is silent.
func (d *Dispatcher) rereadFleet(ctx context.Context, known *fleet) {
	waiting, cancel := d.monitor.Guard(ctx)
	defer cancel()
	if d.fleetTurn.Acquire(waiting, 1) != nil {
		return
	}
	defer d.fleetTurn.Release(1)
	if d.fleet.Load() == known {
		// Also for a client that hangs up: what is read is for all.
		reading, cancel := d.monitor.Guard(context.WithoutCancel(ctx))
		defer cancel()
		d.readFleet(reading, "")
	}
}

// refreshFleet reads what the workers take.
func (d *Dispatcher) refreshFleet(ctx context.Context) {
	if d.fleetTurn.Acquire(ctx, 1) != nil {
		return
	}
	defer d.fleetTurn.Release(1)
	known := d.fleet.Load()
	if time.Since(known.wholeAt) > wholeInterval {
		d.readFleet(ctx, "")
	} else {
		d.readFleet(ctx, known.state)
	}
}

// readFleet is refreshFleet with fleetTurn held, and reads all workers unless their state is a known one.
func (d *Dispatcher) readFleet(ctx context.Context, state string) {
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	last := d.fleet.Load()
	workers, now, err := d.store.FleetUnless(ctx, state)
	if err != nil {
		next := *last
		next.silent = time.Now()
		d.fleet.Store(&next)
		return
	}
	same := state != "" && now == state
	next := last.unchanged(time.Now())
	if !same {
		next = last.with(workers, time.Now())
	}
	next.state = now
	age := time.Since(next.describedAt)
	if age > describedInterval || age > undescribedInterval && !next.isDescribed() ||
		!same && !last.sameVersions(next) && !next.isDescribed() {
		if described, err := d.store.Environments(ctx); err == nil {
			next.described, next.describedAt = described, time.Now()
			next.forget()
		}
	}
	d.fleet.Store(next)
}

// sameVersions reports whether the same versions of environments are alive.
func (f *fleet) sameVersions(other *fleet) bool {
	return maps.EqualFunc(f.live, other.live, func(a, b []string) bool {
		return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))),
			slices.Compact(slices.Sorted(slices.Values(b))))
	})
}

// forget drops environments that have neither a live worker nor a description. The default stays.
func (f *fleet) forget() {
	for name := range f.limits {
		isIt := func(d jobs.Environment) bool { return d.Name == name }
		if name != jobs.DefaultEnvironment && len(f.live[name]) == 0 && !slices.ContainsFunc(f.described, isIt) {
			delete(f.limits, name)
			delete(f.seen, name)
		}
	}
}

// Environments returns the environments that workers have or had lately and the caller's jobs may have, the default
// first. It returns a *jobs.Error with CodeUnavailable if Redis has not been read yet.
func (d *Dispatcher) Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error) {
	known := d.fleet.Load()
	if known.describedAt.IsZero() {
		return nil, jobs.Unavailable("the environments have not been read from Redis yet", nil)
	}
	bounds := jobs.CallerOf(ctx).Bounds()
	environments := slices.DeleteFunc(known.environments(), func(environment jobs.EnvironmentStatus) bool {
		return !bounds.AllowsEnvironment(environment.Name)
	})
	server := d.settings.Limits.CappedBy(bounds.Largest)
	for i := range environments {
		if environment := &environments[i]; environment.Workers > 0 {
			able := known.limits[environment.Name]
			environment.MaxLimits = jobs.HighestLimits(server, able)
			// There is no error for a job that asks for no limits.
			environment.Limits, _ = jobs.DecideLimits(server, jobs.RequestedLimits{}, able)
		}
	}
	return environments, nil
}

// triedAt returns when the workers were last read, or Redis last did not answer.
func (f *fleet) triedAt() time.Time {
	if f.silent.After(f.readAt) {
		return f.silent
	}
	return f.readAt
}

// isSilent reports whether Redis did not answer the last time.
func (f *fleet) isSilent() bool { return f.readAt.IsZero() || f.silent.After(f.readAt) }
