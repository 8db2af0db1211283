package redisparts_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisparts"
	"cellblock/internal/redistest"
)

// twoWrites writes a declared key, and then one that does not exist yet.
var twoWrites = redis.NewScript(`
redis.call("HINCRBY", KEYS[1], "n", 1)
redis.call("LPUSH", "computed:" .. ARGV[1], "x")
return redis.call("HGET", KEYS[1], "n")`)

func TestPartsLieEvenlyOnPrimaries(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	client := cluster.Client(t)
	parts := redisparts.New(client, 12)
	for i, part := range parts.All() {
		if err := twoWrites.Run(t.Context(), part, []string{"declared"}, i).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range cluster.Addrs {
		keys := cluster.Server(t, i).Keys(t.Context(), "*declared").Val()
		if len(keys) != 4 {
			t.Errorf("%s has %d of 12 parts: %q", cluster.Addrs[i], len(keys), keys)
		}
	}
}

// moving is a slot on its way from one server to another.
type moving struct {
	from, to     *redis.Client
	fromID, toID string
	slot         int
}

// startMoving begins to move the slot of the only key of a cluster that contains name.
func startMoving(t *testing.T, cluster redistest.Cluster, name string) moving {
	t.Helper()
	var m moving
	for i := range cluster.Addrs {
		server := cluster.Server(t, i)
		if keys := server.Keys(t.Context(), "*"+name+"*").Val(); len(keys) > 0 {
			m.from, m.slot = server, int(server.ClusterKeySlot(t.Context(), keys[0]).Val())
		} else {
			m.to = server
		}
	}
	m.fromID, m.toID = m.from.ClusterMyID(t.Context()).Val(), m.to.ClusterMyID(t.Context()).Val()
	setSlot(t, m.to, m.slot, "IMPORTING", m.fromID)
	setSlot(t, m.from, m.slot, "MIGRATING", m.toID)
	return m
}

func setSlot(t *testing.T, server *redis.Client, slot int, state, id string) {
	t.Helper()
	if err := server.Do(t.Context(), "CLUSTER", "SETSLOT", slot, state, id).Err(); err != nil {
		t.Fatal(err)
	}
}

// moveKeys moves up to n keys of the slot.
func (m moving) moveKeys(t *testing.T, n int) {
	t.Helper()
	host, port, _ := strings.Cut(m.to.Options().Addr, ":")
	for _, key := range m.from.ClusterGetKeysInSlot(t.Context(), m.slot, n).Val() {
		if err := m.from.Migrate(t.Context(), host, port, key, 0, time.Second).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// finish ends the move, as redis-cli --cluster reshard does.
func (m moving) finish(t *testing.T) {
	t.Helper()
	m.moveKeys(t, 1000)
	setSlot(t, m.to, m.slot, "NODE", m.toID)
	setSlot(t, m.from, m.slot, "NODE", m.toID)
}

// The fault that the prelude prevents: Redis runs the script, and refuses its second write.
func TestAScriptEndsHalfWayWithoutThePrelude(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2)
	client := cluster.Client(t)
	if err := client.HSet(t.Context(), "declared", "n", 1).Err(); err != nil {
		t.Fatal(err)
	}
	// The computed key is of the same slot, and does not exist.
	half := redis.NewScript(`
redis.call("HINCRBY", KEYS[1], "n", 1)
redis.call("LPUSH", "{declared}:computed", "x")`)
	startMoving(t, cluster, "declared")
	if err := half.Run(t.Context(), client, []string{"declared"}).Err(); err == nil {
		t.Fatal("the script runs: this Redis needs no prelude")
	}
	if n := client.HGet(t.Context(), "declared", "n").Val(); n != "2" {
		t.Errorf("n is %s: the script did not begin", n)
	}
}

// While a slot moves, whichever keys have moved, a script does nothing, and runs afterwards.
func TestAScriptRunsWholeWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	for moved := range 4 {
		t.Run(fmt.Sprintf("%d keys moved", moved), func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, 2)
			part := redisparts.New(cluster.Client(t), 2).Of("x")
			for _, name := range []string{"first", "second"} {
				if err := twoWrites.Run(t.Context(), part, []string{"declared"}, name).Err(); err != nil {
					t.Fatal(err)
				}
			}
			move := startMoving(t, cluster, "declared")
			move.moveKeys(t, moved)
			short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if twoWrites.Run(short, part, []string{"declared"}, "third").Err() == nil {
				t.Fatal("the script runs while the slot moves")
			}
			if n := part.HGet(t.Context(), "declared", "n").Val(); n != "2" {
				t.Errorf("n is %s: the script began", n)
			}
			done := make(chan error, 1)
			go func() {
				n, err := twoWrites.Run(t.Context(), part, []string{"declared"}, "third").Text()
				if err == nil && n != "3" {
					err = fmt.Errorf("n is %s", n)
				}
				done <- err
			}()
			move.finish(t)
			if err := <-done; err != nil {
				t.Errorf("after the move: %v", err)
			}
			if n := part.Exists(t.Context(), "computed:first", "computed:second", "computed:third").Val(); n != 3 {
				t.Errorf("%d of three lists are there", n)
			}
		})
	}
}
