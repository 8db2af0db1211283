package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

var (
	acme = jobs.Caller{Tenant: "acme", Scopes: []jobs.Scope{jobs.ScopeRun, jobs.ScopeRead, jobs.ScopeCancel}}
	beta = jobs.Caller{Tenant: "beta", Scopes: acme.Scopes}
)

// meter counts what goes over the connections of a client.
type meter struct{ sent, received atomic.Int64 }

type meteredConn struct {
	net.Conn

	meter *meter
}

func (c meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.received.Add(int64(n))
	return n, err
}

func (c meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.meter.sent.Add(int64(n))
	return n, err
}

// newMetered returns a store whose connection is metered.
func newMetered(t *testing.T, url string) (*store.Store, *meter) {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{}
	options.PoolSize = 1
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return meteredConn{conn, m}, err
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return store.New(client, settings), m
}

// cost is what an operation costs.
type cost struct {
	sent, received int64
	// commands are those that Redis ran, also inside of scripts.
	commands string
}

// owned is what belongs to a tenant: jobs in every state, a batch and a file.
type owned struct {
	jobs        []string
	batch, file string
}

func createOwned(t *testing.T, s *store.Store, tenant jobs.Tenant) owned {
	t.Helper()
	asTenant := func(job *jobs.Job) { job.Tenant = tenant }
	queued, running := createJob(t, s, asTenant), createJob(t, s, asTenant)
	small, large := createJob(t, s, asTenant), createJob(t, s, asTenant)
	o := owned{batch: jobs.NewID(), file: jobs.NewFileID()}
	o.jobs = []string{queued.ID, running.ID, small.ID, large.ID}
	claimStart(t, s, running.ID, "t")
	endJob(t, s, small.ID, succeeded("1"))
	endJob(t, s, large.ID, succeeded(`"`+strings.Repeat("x", 1<<20)+`"`))
	chunks := []jobs.OutputChunk{{Stream: jobs.Stdout, Text: strings.Repeat("secret", 1000)}}
	file := jobs.StoredFile{ID: o.file, Tenant: tenant, Name: "a.csv", Key: "k", Size: 1}
	_, batchErr := s.CreateBatch(t.Context(), tenant, o.batch, "", []string{queued.ID})
	_, fileErr := s.CreateFile(t.Context(), file, time.Hour, time.Hour)
	if err := errors.Join(batchErr, fileErr, s.AppendOutput(t.Context(), running.ID, chunks, time.Hour)); err != nil {
		t.Fatal(err)
	}
	return o
}

type operation func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error

var jobOperations = map[string]operation{
	"State": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.State(ctx, caller, id)
		return err
	},
	"Get": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.Get(ctx, caller, id)
		return err
	},
	"ReadBudgeted": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, release, err := s.ReadBudgeted(ctx, caller, id, time.Minute)
		release()
		return err
	},
	"Describe": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.Describe(ctx, caller, id, time.Minute)
		return err
	},
	"Cancel": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.Cancel(ctx, caller, id)
		return err
	},
	"Watch": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.Watch(ctx, caller, id, "channel")
		return err
	},
}

var batchOperations = map[string]operation{
	"Batch": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.Batch(ctx, caller, id)
		return err
	},
	"BatchProgress": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, _, err := s.BatchProgress(ctx, caller, id)
		return err
	},
	"WatchBatch": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		return s.WatchBatch(ctx, caller, id, "channel")
	},
}

var fileOperations = map[string]operation{
	"StoredFile": func(ctx context.Context, s *store.Store, caller jobs.Caller, id string) error {
		_, err := s.StoredFile(ctx, caller, id)
		return err
	},
}

// A foreign id must not be distinguishable from one that does not exist, not even by the time that an answer takes.
func TestAForeignIDCostsWhatAnUnknownOneDoes(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Client(t, server.URL())
	s, m := newMetered(t, server.URL())
	measure := func(do operation, caller jobs.Caller, id string) (cost, error) {
		sent, received, before := m.sent.Load(), m.received.Load(), calls(t, client)
		err := do(t.Context(), s, caller, id)
		return cost{
			sent: m.sent.Load() - sent, received: m.received.Load() - received, commands: ran(before, calls(t, client)),
		}, err
	}
	of := map[jobs.Tenant]owned{"acme": createOwned(t, s, "acme"), jobs.Operator: createOwned(t, s, jobs.Operator)}
	for _, victim := range []struct {
		owner  jobs.Tenant
		caller jobs.Caller
	}{{"acme", beta}, {jobs.Operator, beta}, {jobs.Operator, jobs.Caller{}}} {
		check := func(name string, do operation, foreign, unknown string) {
			t.Helper()
			for range 2 { // the first call may send the script, or open the connection
				_ = do(t.Context(), s, victim.caller, unknown)
			}
			want, err := measure(do, victim.caller, unknown)
			if !isNotFound(err) {
				t.Errorf("%s of an unknown id: %v", name, err)
			}
			before := snapshot(t, client)
			got, foreignErr := measure(do, victim.caller, foreign)
			same := strings.ReplaceAll(err.Error(), unknown, foreign)
			if !isNotFound(foreignErr) || foreignErr.Error() != same {
				t.Errorf("%s of an id of %s: %v, want %v", name, victim.owner, foreignErr, err)
			}
			if got != want {
				t.Errorf("%s of an id of %s costs %+v, of an unknown one %+v", name, victim.owner, got, want)
			}
			if !maps.Equal(before, snapshot(t, client)) {
				t.Errorf("%s has changed something of %s", name, victim.owner)
			}
		}
		theirs := of[victim.owner]
		for name, do := range jobOperations {
			for _, id := range theirs.jobs {
				check(name, do, id, jobs.NewID())
			}
		}
		for name, do := range batchOperations {
			check(name, do, theirs.batch, jobs.NewID())
		}
		for name, do := range fileOperations {
			check(name, do, theirs.file, jobs.NewFileID())
		}
	}
}

// calls returns how often Redis ran each command.
func calls(t *testing.T, client redis.UniversalClient) map[string]int {
	t.Helper()
	calls := map[string]int{}
	for name, fields := range client.InfoMap(t.Context(), "commandstats").Val()["Commandstats"] {
		number, _, _ := strings.Cut(strings.TrimPrefix(fields, "calls="), ",")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		calls[strings.TrimPrefix(name, "cmdstat_")] = n
	}
	delete(calls, "info")
	return calls
}

// ran describes the commands that ran between two results of calls.
func ran(before, after map[string]int) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if n := after[name] - before[name]; n > 0 {
			names = append(names, fmt.Sprint(name, ": ", n))
		}
	}
	return strings.Join(names, ", ")
}

// snapshot returns all that Redis has.
func snapshot(t *testing.T, client redis.UniversalClient) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range client.Keys(t.Context(), "*").Val() {
		all[key] = client.Dump(t.Context(), key).Val()
	}
	return all
}

// The files of a job may have a hundred kilobytes. Reading them before the check would take time.
func TestFilesAreReadAfterTheCheck(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	s := store.New(client, store.DefaultSettings())
	theirs := createOwned(t, s, "acme")
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial(options.Network, options.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	commands := bufio.NewScanner(conn)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil || !commands.Scan() {
		t.Fatal(err, commands.Err())
	}
	for _, id := range theirs.jobs {
		if _, err := s.Describe(t.Context(), beta, id, time.Minute); !isNotFound(err) {
			t.Fatal(err)
		}
	}
	client.Get(t.Context(), "the-last-command")
	read := 0
	for commands.Scan() && !strings.Contains(commands.Text(), "the-last-command") {
		if line := commands.Text(); strings.Contains(line, `lua] "HMGET"`) {
			read++
			if strings.Contains(line, `"files"`) {
				t.Errorf("before the check: %s", line)
			}
		}
	}
	if want := len(theirs.jobs); read != want || commands.Err() != nil {
		t.Errorf("%d reads, want %d (%v)", read, want, commands.Err())
	}
}
