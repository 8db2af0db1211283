package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// flatAim is how much more a job may cost with any number of workers than with the fewest.
const flatAim = 1.2

// print writes the medians of all rounds as tables.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\na job at %.0f/s\tcommands\tof the first\tµs of Redis\tof the first\tbytes\tof the first\t"+
		"start p50 ms\tp99\tcapacity/s\tthen µs of Redis\n", r.Rate)
	keys := r.keys()
	job := []func(size) float64{
		func(s size) float64 { return s.Job.Commands }, func(s size) float64 { return s.Job.CPUMicros },
		func(s size) float64 { return s.Job.Bytes },
	}
	for _, key := range keys {
		fmt.Fprintf(w, "%d workers, %d APIs", key.Workers, key.APIs)
		for _, of := range job {
			fmt.Fprintf(w, "\t%.1f\t%s", r.median(key, of), r.flat(keys[0], r.median(key, of), of))
		}
		fmt.Fprintf(w, "\t%.2f\t%.1f\t%.0f\t%.0f\n",
			r.median(key, func(s size) float64 { return s.Dispatch.Median }),
			r.median(key, func(s size) float64 { return s.Dispatch.P99 }),
			r.median(key, func(s size) float64 { return s.PerSecond }),
			r.median(key, func(s size) float64 { return s.Busy.CPUMicros }))
	}
	fmt.Fprintf(w, "\nidle\tcommands/s\tms of Redis/s\tbytes/s\tconnections\tused MB\tcancel: commands\tbytes\t"+
		"GET /workers: commands\tbytes\n")
	others := []func(size) float64{
		func(s size) float64 { return s.Idle.Commands }, func(s size) float64 { return s.Idle.CPUMicros / 1000 },
		func(s size) float64 { return s.Idle.Bytes }, func(s size) float64 { return float64(s.Memory.Connections) },
		func(s size) float64 { return s.Memory.UsedMB }, func(s size) float64 { return s.Cancel.Commands },
		func(s size) float64 { return s.Cancel.Bytes }, func(s size) float64 { return s.List.Commands },
		func(s size) float64 { return s.List.Bytes },
	}
	for _, key := range keys {
		fmt.Fprintf(w, "%d workers, %d APIs", key.Workers, key.APIs)
		for _, of := range others {
			fmt.Fprintf(w, "\t%.1f", r.median(key, of))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// sizeKey is a number of workers and one of API processes.
type sizeKey struct{ Workers, APIs int }

// keys returns the sizes in the order in which they were measured, each once.
func (r *report) keys() []sizeKey {
	var keys []sizeKey
	for _, s := range r.Sizes {
		if key := (sizeKey{s.Workers, s.APIs}); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// median returns the median over the rounds.
func (r *report) median(key sizeKey, of func(size) float64) float64 {
	var values []float64
	for _, s := range r.Sizes {
		if (sizeKey{s.Workers, s.APIs}) == key {
			values = append(values, of(s))
		}
	}
	slices.Sort(values)
	middle := len(values) / 2 //nolint:mnd // the median
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2 //nolint:mnd // likewise
	}
	return values[middle]
}

// flat returns the ratio of a figure to that of the first size, and whether that meets the aim.
func (r *report) flat(first sizeKey, got float64, of func(size) float64) string {
	ratio := got / r.median(first, of)
	if ratio > flatAim {
		return fmt.Sprintf("%.2f MISSED", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}
