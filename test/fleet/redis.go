package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// usage is what Redis has done since its start, or between two moments.
type usage struct {
	// calls are the commands by name, those inside scripts included.
	calls map[string]float64
	// cpu are seconds of processor time, of all of Redis's threads; bytes went in and out over its connections.
	cpu, bytes float64
	// took are seconds.
	took float64
}

// memory is what Redis holds at a moment.
type memory struct {
	Connections int     `json:"connections"`
	UsedMB      float64 `json:"used_mb"`
	ResidentMB  float64 `json:"resident_mb"`
}

// readUsage reads INFO, and leaves INFO itself out of the commands.
func readUsage(ctx context.Context, client redis.UniversalClient) (usage, error) {
	fields, err := readInfo(ctx, client)
	if err != nil {
		return usage{}, err
	}
	u := usage{
		calls: map[string]float64{}, took: float64(time.Now().UnixNano()) / 1e9,
		cpu:   number(fields["used_cpu_user"]) + number(fields["used_cpu_sys"]),
		bytes: number(fields["total_net_input_bytes"]) + number(fields["total_net_output_bytes"]),
	}
	for field, value := range fields {
		name, isCommand := strings.CutPrefix(field, "cmdstat_")
		calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		if isCommand && name != "info" {
			u.calls[name] = number(calls)
		}
	}
	return u, nil
}

func readMemory(ctx context.Context, client redis.UniversalClient) (memory, error) {
	fields, err := readInfo(ctx, client)
	const mb = 1 << 20
	return memory{
		Connections: int(number(fields["connected_clients"])), UsedMB: rounded(number(fields["used_memory"]) / mb),
		ResidentMB: rounded(number(fields["used_memory_rss"]) / mb),
	}, err
}

func readInfo(ctx context.Context, client redis.UniversalClient) (map[string]string, error) {
	text, err := client.Info(ctx, "everything").Result()
	if err != nil {
		return nil, fmt.Errorf("read what Redis has done: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			fields[name] = value
		}
	}
	return fields, nil
}

func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// since returns what was done between an earlier moment and this one.
func (u usage) since(earlier usage) usage {
	calls := maps.Clone(u.calls)
	for name, n := range earlier.calls {
		calls[name] -= n
	}
	return usage{calls: calls, cpu: u.cpu - earlier.cpu, bytes: u.bytes - earlier.bytes, took: u.took - earlier.took}
}

// without returns what was done besides what an idle fleet does in the same time.
func (u usage) without(idle usage) usage {
	part := u.took / idle.took
	rest := usage{
		calls: maps.Clone(u.calls), cpu: u.cpu - idle.cpu*part, bytes: u.bytes - idle.bytes*part, took: u.took,
	}
	for name, n := range idle.calls {
		rest.calls[name] -= n * part
	}
	return rest
}

// cost is usage for each of something: a job, or a second.
type cost struct {
	Commands  float64            `json:"commands"`
	CPUMicros float64            `json:"redis_cpu_us"`
	Bytes     float64            `json:"bytes"`
	ByName    map[string]float64 `json:"by_name,omitzero"`
}

// each divides the usage by a number. Rare commands are left out of those by name.
func (u usage) each(n float64) cost {
	c := cost{CPUMicros: rounded(u.cpu * 1e6 / n), Bytes: rounded(u.bytes / n), ByName: map[string]float64{}}
	for name, calls := range u.calls {
		c.Commands += calls / n
		if math.Abs(calls/n) >= 0.02 { //nolint:mnd // below it is noise
			c.ByName[name] = rounded(calls / n)
		}
	}
	c.Commands = rounded(c.Commands)
	return c
}

// rounded rounds to two decimals; more would be noise.
func rounded(n float64) float64 { return math.Round(100*n) / 100 }
