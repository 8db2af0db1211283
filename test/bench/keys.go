package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/client"
	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

const (
	// keyRounds is how often each way is measured, alternately, and keyRequests the number of requests in each.
	keyRounds   = 20
	keyRequests = 25

	keyRatioAim    = 1.1
	keyTripsAim    = 2
	keyCommandsAim = 3

	keyToken = "the-token-of-the-benchmark"
	// farAbove is a limit on requests per second that no request of one client meets.
	farAbove = 10_000
)

// keyCost compares requests with a key of a tenant to those of a service without keys.
type keyCost struct {
	Rounds int `json:"rounds"`
	// None is an API without any token, Key one with a key of a tenant, and Limited one with a key whose tenant has a
	// limit on its requests per second.
	None    keyWayCost `json:"none"`
	Key     keyWayCost `json:"key"`
	Limited keyWayCost `json:"key_and_limit"`
}

// keyWayCost is the cost of a request of one way.
type keyWayCost struct {
	Request summary `json:"request"`
	// Ratio is the median over the rounds of the ratio of the medians, to that of the way without keys in the same
	// round.
	Ratio float64 `json:"ratio"`
	// RoundTrips are reads of Redis from a client, by all processes, and Commands include those inside scripts; both
	// without what happens anyway in that time.
	RoundTrips float64 `json:"round_trips"`
	Commands   float64 `json:"commands"`
	// ByName has the commands by their names. Rare ones are left out.
	ByName map[string]float64 `json:"by_name"`
}

// keyWay is one way to send the request.
type keyWay struct {
	service *service
	times   []time.Duration
	medians []float64
	total   redisCounts
}

// measureKeys runs two API processes on the same Redis and worker.
func measureKeys(ctx context.Context, o options, programs stack.Programs) (_ *keyCost, err error) {
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{
		"NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python,
	}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	url, _, err := s.StartReplica(ctx, stack.Env{"API_TOKEN": keyToken})
	if err != nil {
		return nil, err
	}
	ways, err := keyWays(ctx, s.URL, url)
	if err != nil {
		return nil, err
	}
	redis, err := redisconn.Settings{URL: s.RedisURL}.Open()
	if err != nil {
		return nil, err
	}
	defer redis.Close()
	for _, way := range ways { // their connections and scripts exist
		if err := way.requests(ctx); err != nil {
			return nil, err
		}
		way.times = nil
	}
	var idle redisCounts
	if err := idle.add(ctx, redis, func() error { return idleFor(ctx, o.idle) }); err != nil {
		return nil, err
	}
	for round := range keyRounds {
		for i := range ways {
			way := ways[(round+i)%len(ways)]
			if err := way.total.add(ctx, redis, func() error { return way.requests(ctx) }); err != nil {
				return nil, err
			}
		}
	}
	return &keyCost{
		Rounds: keyRounds, None: ways[0].cost(ways[0], idle), Key: ways[1].cost(ways[0], idle),
		Limited: ways[2].cost(ways[0], idle),
	}, nil
}

// keyWays returns the ways without a key, with one, and with one and a limit.
func keyWays(ctx context.Context, open, closed string) ([]*keyWay, error) {
	const script = "def main():\n    return 1\n"
	operator, err := client.New(closed, client.WithToken(keyToken))
	if err != nil {
		return nil, err
	}
	defer operator.Close()
	ways := []*keyWay{{service: newService(open, script)}}
	for tenant, rate := range []float64{0, farAbove} {
		key, err := operator.CreateKey(ctx, client.KeyRequest{
			Tenant: fmt.Sprintf("tenant-%d", tenant), Scopes: []string{"run"},
			Limits: client.TenantLimits{RequestsPerSecond: rate},
		})
		if err != nil {
			return nil, err
		}
		way := &keyWay{service: newService(closed, script)}
		way.service.client.Transport = &bearer{&http.Transport{}, key.Key}
		ways = append(ways, way)
	}
	return ways, nil
}

// bearer is a transport that adds a key to requests.
type bearer struct {
	*http.Transport

	key string
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.key)
	return b.Transport.RoundTrip(request)
}

// requests sends those of one round, one after the other.
func (w *keyWay) requests(ctx context.Context) error {
	times := make([]time.Duration, keyRequests)
	for i := range times {
		var err error
		if times[i], err = w.service.call(ctx); err != nil {
			return err
		}
	}
	w.times = append(w.times, times...)
	w.medians = append(w.medians, summarize(times).Median)
	return nil
}

// cost returns the way's cost, compared to that of none.
func (w *keyWay) cost(none *keyWay, idle redisCounts) keyWayCost {
	ratios := make([]float64, len(w.medians))
	for i := range ratios {
		ratios[i] = w.medians[i] / none.medians[i]
	}
	slices.Sort(ratios)
	perRequest := func(of func(redisCounts) float64) float64 {
		anyway := of(idle) / idle.took.Seconds() * w.total.took.Seconds()
		return rounded((of(w.total) - anyway) / float64(keyRounds*keyRequests))
	}
	cost := keyWayCost{
		Request: summarize(w.times), Ratio: rounded(ratios[len(ratios)/2]),
		RoundTrips: perRequest(func(c redisCounts) float64 { return c.reads }),
		Commands: perRequest(func(c redisCounts) float64 {
			sum := 0.0
			for _, n := range c.calls {
				sum += n
			}
			return sum
		}),
		ByName: map[string]float64{},
	}
	for name := range w.total.calls {
		if n := perRequest(func(c redisCounts) float64 { return c.calls[name] }); n >= 0.1 { //nolint:mnd // rare
			cost.ByName[name] = n
		}
	}
	return cost
}

// redisCounts are what Redis did for all clients during took.
type redisCounts struct {
	reads float64
	calls map[string]float64
	took  time.Duration
}

// add adds what Redis does during work, without the command that reads it.
func (c *redisCounts) add(ctx context.Context, client redis.UniversalClient, work func() error) error {
	reads, calls, err := readCounts(ctx, client)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := work(); err != nil {
		return err
	}
	c.took += time.Since(began)
	readsAfter, callsAfter, err := readCounts(ctx, client)
	c.reads += readsAfter - reads - 1
	if c.calls == nil {
		c.calls = map[string]float64{}
	}
	for name, n := range callsAfter {
		c.calls[name] += n - calls[name]
	}
	return err
}

// readCounts reads what Redis has done since its start. The commands are without INFO.
func readCounts(
	ctx context.Context, client redis.UniversalClient,
) (reads float64, calls map[string]float64, err error) {
	info, err := client.Info(ctx, "all").Result()
	if err != nil {
		return 0, nil, err
	}
	calls, err = callsOf(info)
	_, text, found := strings.Cut(info, "total_reads_processed:")
	text, _, _ = strings.Cut(text, "\r\n")
	if reads, parsed := strconv.ParseFloat(text, 64); found && parsed == nil {
		return reads, calls, err
	}
	return 0, nil, errors.Join(err, errors.New("INFO has no total_reads_processed"))
}

// idleFor waits for a time.
func idleFor(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// print writes the comparison.
func (c *keyCost) print(w io.Writer) {
	fmt.Fprintf(w, "\nrequest, %d rounds in turn\tmedian ms\tratio\tround trips\tcommands\n", c.Rounds)
	row := func(name string, cost keyWayCost) {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.1f\t%.1f\n", name, cost.Request.Median, cost.Ratio, cost.RoundTrips,
			cost.Commands)
	}
	row("without keys", c.None)
	for _, way := range []struct {
		name string
		cost keyWayCost
	}{{"with a key", c.Key}, {"with a key and a limit on requests", c.Limited}} {
		row(way.name, way.cost)
		fmt.Fprintf(w, "… aims\t\t%s\t%s\t%s\n", atMost(way.cost.Ratio, keyRatioAim),
			atMost(way.cost.RoundTrips-c.None.RoundTrips, keyTripsAim),
			atMost(way.cost.Commands-c.None.Commands, keyCommandsAim))
	}
}

func atMost(got, aim float64) string {
	if got <= aim {
		return fmt.Sprintf("%.2f ≤ %g: met", got, aim)
	}
	return fmt.Sprintf("%.2f ≤ %g: MISSED", got, aim)
}
