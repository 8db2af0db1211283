package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Aims of the measurements, in milliseconds.
const (
	dispatchAim = 5
	overheadAim = 15
)

// print writes the report as tables.
func (r report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if r.Dispatch != nil {
		fmt.Fprintf(w, "idle dispatch\tmedian ms\tp99 ms\tmax ms\taim\n")
		fmt.Fprintf(w, "enqueue to handler\t%.2f\t%.2f\t%.2f\t%s\n\n", r.Dispatch.Median, r.Dispatch.P99, r.Dispatch.Max,
			verdict(r.Dispatch.Median, dispatchAim))
	}
	if c := r.Commands; c != nil {
		fmt.Fprintf(w, "Redis commands, %d idle workers\tper job\tper idle second\n", c.Workers)
		fmt.Fprintf(w, "all\t%.1f\t%.1f\n", c.PerJob, c.IdlePerSecond)
		fmt.Fprintf(w, "by name\t%s\n\n", c.names())
	}
	if len(r.Overhead) > 0 {
		fmt.Fprintf(w, "overhead\tservice median ms\tp99 ms\tbare nsjail median ms\tp99 ms\tdifference ms\taim\n")
		for _, c := range r.Overhead {
			fmt.Fprintf(w, "%s script\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", c.Script,
				c.Service.Median, c.Service.P99, c.Bare.Median, c.Bare.P99, c.Overhead, verdict(c.Overhead, overheadAim))
		}
	}
	return w.Flush()
}

// names lists the commands for each job, the most frequent first.
func (c commands) names() string {
	names := slices.SortedFunc(maps.Keys(c.ByName), func(a, b string) int {
		if c.ByName[a] != c.ByName[b] {
			return int(1000 * (c.ByName[b] - c.ByName[a]))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, c.ByName[name]))
	}
	return strings.Join(parts, ", ")
}

func verdict(got, aim float64) string {
	if got < aim {
		return fmt.Sprintf("< %g: met", aim)
	}
	return fmt.Sprintf("< %g: MISSED", aim)
}
