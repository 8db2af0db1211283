package tenantkeys

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

const (
	// maxAge is how old a result may be, counted from when Redis was asked: a key that is revoked is refused within
	// this time.
	maxAge = time.Second
	// maxUnknown is how many results for keys that there are not are kept: a client may send any number of them.
	maxUnknown = 4096
	// findTimeout bounds a look-up.
	findTimeout = 5 * time.Second
)

// finder finds the key with a sum; Store implements it.
type finder interface {
	find(ctx context.Context, sum Sum) (key jobs.Key, now time.Time, err error)
}

// Verifier finds out who has a key. It asks Redis once a second at most for each key, and knows the keys of
// API_KEYS_FILE without Redis. It is safe for concurrent use.
type Verifier struct {
	store finder
	// file is nil for none.
	file *File
	// defaults are the limits of keys that have none of their own.
	defaults jobs.TenantLimits

	mu sync.Mutex
	// skew is Redis's time minus this machine's.
	skew time.Duration
	// valid has the keys that can be used, and others the keys that cannot, and those that are being looked up. There
	// are two, so that what a client invents displaces nothing of others.
	valid, others map[Sum]*lookup
	swept         time.Time
}

// lookup is one question to Redis, and its result.
type lookup struct {
	// at is when Redis was asked.
	at time.Time
	// done is closed once there is a result, which the other fields have.
	done chan struct{}
	key  jobs.Key
	// expires is when the key expires, by this machine's clock; zero for never.
	expires time.Time
	err     error
}

// NewVerifier returns a verifier for the keys of a store and of a file, which may be nil.
func NewVerifier(store *Store, file *File) *Verifier { return newVerifier(store, file) }

// WithDefaults sets the limits that apply where a key has none of its own, and returns the verifier. It must not be
// called while keys are verified.
func (v *Verifier) WithDefaults(limits jobs.TenantLimits) *Verifier {
	v.defaults = limits
	return v
}

// callerOf returns who makes a request with a key.
func (v *Verifier) callerOf(key jobs.Key) jobs.Caller {
	caller := key.Caller()
	caller.Limits = caller.Limits.Over(v.defaults)
	return caller
}

func newVerifier(store finder, file *File) *Verifier {
	return &Verifier{store: store, file: file, valid: map[Sum]*lookup{}, others: map[Sum]*lookup{}}
}

// Verify returns the caller whose key this is, and reports whether the key can be used; not if it is unknown, has
// expired or is revoked. The error has CodeUnavailable if Redis cannot be reached, or is that of ctx. Keys are compared
// by their SHA-256 only, of which a client cannot choose a part, so the time taken reveals nothing.
func (v *Verifier) Verify(ctx context.Context, key string) (caller jobs.Caller, valid bool, err error) {
	if !IsKey(key) {
		return jobs.Caller{}, false, nil
	}
	sum := Hash(key)
	if v.file != nil {
		if key, known := v.file.find(sum); known {
			usable := key.ExpiresAt.IsZero() || v.now().Before(key.ExpiresAt)
			return v.callerOf(key), usable, nil
		}
	}
	l, own := v.begin(sum)
	if own {
		v.ask(ctx, sum, l)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return jobs.Caller{}, false, ctx.Err()
	}
	if l.err != nil || l.key.State != jobs.KeyActive || !l.expires.IsZero() && !time.Now().Before(l.expires) {
		return jobs.Caller{}, false, l.err
	}
	return v.callerOf(l.key), true, nil
}

// now returns Redis's time, as far as it is known.
func (v *Verifier) now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().Add(v.skew)
}

// begin returns the look-up of a key that is young enough, in progress or done. If there is none, it returns a new one,
// and own: the caller calls ask.
func (v *Verifier) begin(sum Sum) (l *lookup, own bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	for _, results := range []map[Sum]*lookup{v.valid, v.others} {
		if l, ok := results[sum]; ok && now.Sub(l.at) < maxAge {
			return l, false
		}
	}
	v.sweep(now)
	l = &lookup{at: now, done: make(chan struct{})}
	v.others[sum] = l
	return l, true
}

// sweep drops old results, once a second, and all that are done of keys that cannot be used if there are too many.
func (v *Verifier) sweep(now time.Time) {
	full := len(v.others) >= maxUnknown
	if !full && now.Sub(v.swept) < maxAge {
		return
	}
	v.swept = now
	for sum, l := range v.valid {
		if now.Sub(l.at) >= maxAge {
			delete(v.valid, sum)
		}
	}
	for sum, l := range v.others {
		if full && l.isDone() || now.Sub(l.at) >= maxAge {
			delete(v.others, sum)
		}
	}
}

func (l *lookup) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// ask asks Redis. Others may wait for the result, so it goes on if ctx ends. A failure is not kept.
func (v *Verifier) ask(ctx context.Context, sum Sum, l *lookup) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTimeout)
	defer cancel()
	var now time.Time
	l.key, now, l.err = v.store.find(bounded, sum)
	v.mu.Lock()
	defer v.mu.Unlock()
	defer close(l.done)
	if l.err == nil {
		// Redis's time is that of a moment after l.at, so a key ends a little too early and never too late.
		v.skew = now.Sub(l.at)
		if !l.key.ExpiresAt.IsZero() {
			l.expires = l.at.Add(l.key.ExpiresAt.Sub(now))
		}
	}
	usable := l.err == nil && l.key.State == jobs.KeyActive
	if v.others[sum] == l && (usable || l.err != nil) {
		delete(v.others, sum)
	}
	// A slow answer does not replace that to a later question.
	if known, ok := v.valid[sum]; l.err != nil || ok && known.at.After(l.at) {
		return
	}
	if usable {
		v.valid[sum] = l
	} else {
		delete(v.valid, sum)
	}
}
