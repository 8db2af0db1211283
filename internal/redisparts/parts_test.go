package redisparts_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisparts"
	"cellblock/internal/redistest"
)

// computing is a script that declares one key, and computes others: one from an argument, one from a constant.
var computing = redis.NewScript(`
redis.call("SET", KEYS[1], ARGV[1])
redis.call("LPUSH", "list:" .. ARGV[1], KEYS[1])
redis.call("RPOPLPUSH", "list:" .. ARGV[1], "{other}:moved")
local failed = redis.pcall("LPUSH", KEYS[1], "x")
redis.call("SET", "a", 1)
redis.call("DEL", "a", "b")
return {#KEYS, KEYS[1], redis.call("EXISTS", KEYS[1], "{other}:moved", "a"), failed.err and 1 or 0,
	redis.call("TIME")[1] ~= nil and 1 or 0}`)

func TestTheKeysOfAPartHaveItsTag(t *testing.T) {
	t.Parallel()
	shared := redistest.Open(t)
	parts := redisparts.New(shared, 3)
	one := parts.Of("some id")
	for range 2 { // with the text, and by its name
		got, err := computing.Run(t.Context(), one, []string{"x{id}y"}, "v").Slice()
		if err != nil || got[0] != int64(1) || got[1] != "x{id}y" || got[2] != int64(2) || got[3] != int64(1) {
			t.Fatal(got, err)
		}
	}
	tag, _, _ := strings.Cut(shared.Keys(t.Context(), "*").Val()[0], "}")
	want := []string{tag + "}x{id}y", tag + "}{other}:moved"}
	keys := shared.Keys(t.Context(), "*").Val()
	slices.Sort(keys)
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	if value, err := one.Get(t.Context(), "x{id}y").Result(); value != "v" || err != nil {
		t.Error(value, err)
	}
	if n := parts.Home().Exists(t.Context(), "x{id}y", "{other}:moved").Val(); n != 0 {
		t.Error("home has keys of a part")
	}
}

// A script without keys, one after Redis has lost all scripts, and those in pipelines.
func TestScriptsRunInEveryWay(t *testing.T) {
	t.Parallel()
	shared := redistest.Open(t)
	part := redisparts.New(shared, 3).Of("x")
	counts := redis.NewScript(`return {#KEYS, redis.call("INCRBY", "n", 1)}`)
	want := int64(0)
	check := func(how string, got []int64, err error) {
		t.Helper()
		if want++; err != nil || !slices.Equal(got, []int64{0, want}) {
			t.Errorf("%s: %v, %v", how, got, err)
		}
	}
	got, err := counts.Run(t.Context(), part, nil).Int64Slice()
	check("without keys", got, err)
	shared.ScriptFlush(t.Context())
	got, err = counts.Run(t.Context(), part, nil).Int64Slice()
	check("after a flush", got, err)
	if err := counts.Load(t.Context(), part).Err(); err != nil {
		t.Error(err)
	}
	got, err = counts.EvalSha(t.Context(), part, nil).Int64Slice()
	check("after a load", got, err)
	pipeline := part.Pipeline()
	set, script := pipeline.Set(t.Context(), "k", "v", 0), counts.Eval(t.Context(), pipeline, nil)
	if _, err := pipeline.Exec(t.Context()); err != nil || set.Err() != nil {
		t.Error(err)
	}
	got, err = script.Int64Slice()
	check("in a pipeline", got, err)
	tx := part.TxPipeline()
	read := tx.Get(t.Context(), "k")
	if _, err := tx.Exec(t.Context()); err != nil || read.Val() != "v" {
		t.Errorf("in a transaction: %q, %v", read.Val(), err)
	}
	if err := part.Get(t.Context(), "missing").Err(); !errors.Is(err, redis.Nil) {
		t.Error(err)
	}
}

func TestAPopReturnsTheNameOfItsList(t *testing.T) {
	t.Parallel()
	part := redisparts.New(redistest.Open(t), 3).Of("x")
	part.LPush(t.Context(), "second", "token")
	popped, err := part.BLPop(t.Context(), time.Second, "first", "second").Result()
	if err != nil || !slices.Equal(popped, []string{"second", "token"}) {
		t.Error(popped, err)
	}
}

// Its keys would be those of no part.
func TestAnUnknownCommandIsRefused(t *testing.T) {
	t.Parallel()
	shared := redistest.Open(t)
	part := redisparts.New(shared, 3).Of("x")
	if err := part.Rename(t.Context(), "a", "b").Err(); err == nil || !strings.Contains(err.Error(), "rename") {
		t.Error(err)
	}
	pipeline := part.Pipeline()
	pipeline.Set(t.Context(), "a", "1", 0)
	pipeline.Rename(t.Context(), "a", "b")
	if _, err := pipeline.Exec(t.Context()); err == nil {
		t.Error("a pipeline with an unknown command is sent")
	}
	if n := shared.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were written", n)
	}
}

// Messages to a replica reach it in the part, and those to all workers everywhere.
func TestMessagesReachTheirChannels(t *testing.T) {
	t.Parallel()
	part := redisparts.New(redistest.Open(t), 3).Of("x")
	for _, channel := range []string{"cellblock:replica:1", redisparts.Everywhere} {
		subscription := part.Subscribe(t.Context(), channel)
		t.Cleanup(func() { _ = subscription.Close() })
		if _, err := subscription.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		publish := redis.NewScript(`return redis.call("PUBLISH", ARGV[1], "hello")`)
		if err := publish.Run(t.Context(), part, nil, channel).Err(); err != nil {
			t.Fatal(err)
		}
		message, err := subscription.ReceiveMessage(t.Context())
		if err != nil || message.Payload != "hello" {
			t.Error(channel, message, err)
		}
	}
}

// Each command goes to the part of the id in its key.
func TestCommandsByID(t *testing.T) {
	t.Parallel()
	parts := redisparts.New(redistest.Open(t), 4)
	ids := []string{"a", "b", "c", "d", "e", "f"}
	for _, id := range ids {
		parts.Of(id).HSet(t.Context(), "cellblock:{"+id+"}:job", "state", id)
	}
	pipeline, got, want := parts.ByID().Pipeline(), map[string]*redis.StringCmd{}, map[int]bool{}
	for _, id := range ids {
		got[id] = pipeline.HGet(t.Context(), "cellblock:{"+id+"}:job", "state")
		want[parts.Index(id)] = true
	}
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id := range maps.Keys(got) {
		if got[id].Val() != id {
			t.Errorf("%s: %q", id, got[id].Val())
		}
	}
	if len(want) < 3 {
		t.Errorf("six ids are in %d parts", len(want))
	}
	if err := parts.ByID().Get(t.Context(), "no id").Err(); err == nil {
		t.Error("a key without an id has a part")
	}
}
