package main

import (
	"slices"
	"time"
)

// summary summarizes a series of times, in milliseconds.
type summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// summarize requires at least one time. It sorts times.
func summarize(times []time.Duration) summary {
	slices.Sort(times)
	at := func(part float64) float64 {
		return milliseconds(times[min(int(part*float64(len(times))), len(times)-1)])
	}
	return summary{N: len(times), Median: at(0.5), P99: at(0.99), Max: milliseconds(times[len(times)-1])}
}

// milliseconds converts a duration, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
