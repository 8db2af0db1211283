package redisconn_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

// A Redis that hangs blocks neither new waits nor their ends.
func TestTopicsDoNotWaitForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Client(t, server.URL())
	topics := redisconn.NewTopics(client)
	defer topics.Close()
	var leave []func()
	for i := range 20 {
		heard, done := topics.Wait("topic " + strconv.Itoa(i))
		<-heard // the subscription exists
		leave = append(leave, done)
	}
	if err := client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	thaw := sync.OnceFunc(func() { _ = server.Thaw() })
	defer thaw()
	begun := time.Now()
	var all sync.WaitGroup
	for _, done := range leave {
		all.Go(done)
	}
	all.Go(func() {
		_, done := topics.Wait("another")
		done()
	})
	all.Wait()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("they waited %s", took)
	}
	// Messages arrive again afterwards.
	heard, done := topics.Wait("topic 3")
	defer done()
	thaw()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n, err := client.Publish(t.Context(), "topic 3", "").Result()
		if err == nil && n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody hears: %v", err)
		}
	}
	select {
	case <-heard:
	case <-time.After(5 * time.Second):
		t.Error("nothing is heard")
	}
}
