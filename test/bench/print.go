package main

import (
	"cmp"
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
		fmt.Fprintf(w, "per job\t%s\n", names(c.ByName))
		fmt.Fprintf(w, "per idle second\t%s\n\n", names(c.IdleByName))
	}
	if len(r.Overhead) > 0 {
		fmt.Fprintf(w, "overhead\tservice median ms\tp99 ms\tbare nsjail median ms\tp99 ms\tdifference ms\taim\n")
		for _, c := range r.Overhead {
			fmt.Fprintf(w, "%s script, %s sandbox\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", c.Script, c.Sandbox,
				c.Service.Median, c.Service.P99, c.Bare.Median, c.Bare.P99, c.Overhead, verdict(c.Overhead, overheadAim))
		}
	}
	return w.Flush()
}

// names lists the commands, the most frequent first.
func names(counts map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

func verdict(got, aim float64) string {
	if got < aim {
		return fmt.Sprintf("< %g: met", aim)
	}
	return fmt.Sprintf("< %g: MISSED", aim)
}
