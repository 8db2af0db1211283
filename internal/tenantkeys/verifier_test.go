package tenantkeys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func redisZ(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }

// TestARevokedKeyIsRefusedWithinASecond revokes a key that two replicas use all the time.
func TestARevokedKeyIsRefusedWithinASecond(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	store := NewStore(redistest.Client(t, url))
	secret, key := create(t, store, acme)
	var replicas []*Verifier
	for range 2 {
		replicas = append(replicas, NewVerifier(NewStore(redistest.Client(t, url)), nil))
	}
	for _, replica := range replicas {
		caller, valid, err := replica.Verify(t.Context(), secret)
		want := jobs.Caller{Tenant: "acme", KeyID: key.ID, Scopes: acme.Scopes, Limits: acme.Limits}
		if diff := cmp.Diff(want, caller); !valid || err != nil || diff != "" {
			t.Fatalf("%t, %v, %s", valid, err, diff)
		}
	}
	if _, err := store.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	var all sync.WaitGroup
	for _, replica := range replicas {
		all.Go(func() {
			for {
				asked := time.Now()
				_, valid, err := replica.Verify(t.Context(), secret)
				switch {
				case err != nil:
					t.Error(err)
					return
				case !valid:
					return
				case asked.Sub(revoked) > time.Second:
					t.Errorf("still valid %s later", asked.Sub(revoked))
					return
				}
			}
		})
	}
	all.Wait()
}

// fakeFinder has one key, and counts the questions.
type fakeFinder struct {
	sum   Sum
	key   jobs.Key
	takes time.Duration
	err   error
	// ahead is Redis's time minus this machine's.
	ahead time.Duration
	asked atomic.Int64
}

func (f *fakeFinder) find(_ context.Context, sum Sum) (jobs.Key, time.Time, error) {
	f.asked.Add(1)
	key, now, err := jobs.Key{}, time.Now().Add(f.ahead), f.err
	if sum == f.sum && err == nil {
		key = f.key
	}
	time.Sleep(f.takes)
	return key, now, err
}

// newFake returns a finder of one key, and that key.
func newFake() (*fakeFinder, string) {
	secret := NewKey()
	return &fakeFinder{
		sum: Hash(secret),
		key: jobs.Key{ID: "k_aaaaaaaaaa", Tenant: "acme", Scopes: jobs.Scopes(), State: jobs.KeyActive},
	}, secret
}

func verify(t *testing.T, v *Verifier, secret string) bool {
	t.Helper()
	_, valid, err := v.Verify(t.Context(), secret)
	if err != nil {
		t.Error(err)
	}
	return valid
}

// TestAFloodIsOneQuestionASecond sends many requests at once, and for some time, with a valid and with an unknown key.
func TestAFloodIsOneQuestionASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finder, secret := newFake()
		finder.takes = 100 * time.Millisecond
		v, unknown := newVerifier(finder, nil), NewKey()
		for range 5 {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if !verify(t, v, secret) || verify(t, v, unknown) {
						t.Error("the valid key was refused, or the unknown one was not")
					}
				})
			}
			all.Wait()
			time.Sleep(300 * time.Millisecond)
		}
		// 2.4 s with two keys: 3 questions for each at most.
		if asked := finder.asked.Load(); asked > 6 {
			t.Errorf("%d questions", asked)
		}
	})
}

func TestInventedKeysTakeNoMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finder, secret := newFake()
		v := newVerifier(finder, nil)
		verify(t, v, secret)
		for range 3 * maxUnknown {
			if verify(t, v, NewKey()) {
				t.Fatal("an invented key is valid")
			}
		}
		if len(v.others) > maxUnknown {
			t.Errorf("%d results are kept", len(v.others))
		}
		// They displace no valid key.
		if asked := finder.asked.Load(); !verify(t, v, secret) || finder.asked.Load() != asked {
			t.Error("the valid key was looked up again")
		}
		time.Sleep(maxAge)
		verify(t, v, NewKey())
		if len(v.valid) != 0 || len(v.others) != 1 {
			t.Errorf("%d and %d old results are kept", len(v.valid), len(v.others))
		}
	})
}

func TestOnlyKeysAreLookedUp(t *testing.T) {
	t.Parallel()
	finder, secret := newFake()
	v := newVerifier(finder, nil)
	for _, text := range []string{
		"", "cb_", secret + "a", secret[:45], " " + secret, secret + "\n", "CB_" + secret[3:], "cb_" + secret[4:] + "é",
		secret[:45] + "=", secret[:45] + "*",
	} {
		if verify(t, v, text) {
			t.Errorf("%q is valid", text)
		}
	}
	if finder.asked.Load() != 0 {
		t.Error("Redis was asked")
	}
}

// TestAResultIsNeverOlderThanASecond joins a slow question late: its answer may be of before.
func TestAResultIsNeverOlderThanASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finder, secret := newFake()
		finder.takes = 3 * time.Second
		v := newVerifier(finder, nil)
		var all sync.WaitGroup
		defer all.Wait()
		all.Go(func() { verify(t, v, secret) })
		synctest.Wait()
		finder.key.State = jobs.KeyRevoked
		time.Sleep(maxAge)
		if verify(t, v, secret) {
			t.Error("an answer of before the revocation was used")
		}
	})
}

func TestExpiryIsByTheClockOfRedis(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				finder, secret := newFake()
				finder.ahead = ahead
				finder.key.ExpiresAt = time.Now().Add(ahead + 500*time.Millisecond)
				v := newVerifier(finder, nil)
				if !verify(t, v, secret) {
					t.Error("refused too early")
				}
				time.Sleep(500 * time.Millisecond) // the result is still kept
				if verify(t, v, secret) {
					t.Error("valid too long")
				}
			})
		})
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	finder, secret := newFake()
	finder.err = errors.New("no Redis")
	v := newVerifier(finder, nil)
	if _, valid, err := v.Verify(t.Context(), secret); valid || !errors.Is(err, finder.err) {
		t.Errorf("%t, %v", valid, err)
	}
	finder.err = nil
	if !verify(t, v, secret) || len(v.others) != 0 {
		t.Error("the failure was kept")
	}
}

// TestAClientThatLeavesEndsNoOthers hangs up on the request that asked Redis.
func TestAClientThatLeavesEndsNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finder, secret := newFake()
		finder.takes = 100 * time.Millisecond
		v := newVerifier(finder, nil)
		ctx, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _, _ = v.Verify(ctx, secret) })
		synctest.Wait()
		all.Go(func() {
			if !verify(t, v, secret) {
				t.Error("refused")
			}
		})
		synctest.Wait()
		hangUp()
		all.Wait()
		if finder.asked.Load() != 1 {
			t.Errorf("%d questions", finder.asked.Load())
		}
	})
}
