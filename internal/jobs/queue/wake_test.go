package queue

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestIdleDispatch(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	started := make(chan time.Time)
	startConsumer(t, url, 1, func(context.Context, Delivery) error {
		started <- time.Now()
		return nil
	})
	var took []time.Duration
	for range 60 {
		waitForIdleConsumers(t, client, 1)
		before := time.Now()
		enqueue(t, producer, jobs.NewID())
		took = append(took, (<-started).Sub(before))
	}
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("from before the enqueue to the handler's start: median %s, 95%% %s", median, took[len(took)*95/100])
	if median > 250*time.Millisecond {
		t.Errorf("the median is %s: the consumer polls", median)
	}
}

// commandCalls counts all commands that Redis has executed, including those of scripts.
func commandCalls(t *testing.T, client redis.UniversalClient) int {
	t.Helper()
	stats, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, match := range regexp.MustCompile(`cmdstat_([a-z|_]+):calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
		n, err := strconv.Atoi(match[2])
		if err != nil {
			t.Fatal(err)
		}
		if match[1] != "info" {
			total += n
		}
	}
	return total
}

func TestCommandsPerJobDoNotGrowWithIdleWorkers(t *testing.T) {
	t.Parallel()
	for _, consumers := range []int{1, 20} {
		t.Run(strconv.Itoa(consumers), func(t *testing.T) {
			const count = 200
			url := redistest.Start(t)
			client := redistest.Client(t, url)
			producer := NewProducer(client)
			handled := make(chan struct{})
			for range consumers {
				startConsumer(t, url, 1, func(context.Context, Delivery) error {
					handled <- struct{}{}
					return nil
				})
			}
			waitForIdleConsumers(t, client, consumers)
			before := commandCalls(t, client)
			for range count {
				enqueue(t, producer, jobs.NewID())
				<-handled
			}
			waitFor(t, "all tasks are done",
				5*time.Second, func() bool { return keyCount(t, client, "active") == 0 })
			perJob := float64(commandCalls(t, client)-before) / count
			t.Logf("%d idle workers: %.1f commands for each job, those inside scripts included", consumers, perJob)
			if perJob > 40 {
				t.Errorf("%.1f commands for each job", perJob)
			}
		})
	}
}

func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	const list, limit = "cellblock:wake", 1024
	for range 5 {
		if err := wake(t.Context(), client, list, limit/2+1); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.LLen(t.Context(), list).Val(); n < limit || n >= 2*limit {
		t.Errorf("%d tokens", n)
	}
}
