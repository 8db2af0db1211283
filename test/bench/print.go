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
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if r.Dispatch != nil {
		fmt.Fprintf(w, "idle dispatch\tmedian ms\tp99 ms\tmax ms\taim\n")
		fmt.Fprintf(w, "enqueue to handler\t%.2f\t%.2f\t%.2f\t%s\n\n", r.Dispatch.Median,
			r.Dispatch.P99, r.Dispatch.Max,
			verdict(r.Dispatch.Median, dispatchAim))
	}
	if c := r.Commands; c != nil {
		fmt.Fprintf(w, "Redis commands, %d idle workers\tper job\tper idle second\n", c.Workers)
		fmt.Fprintf(w, "all\t%.1f\t%.1f\n", c.PerJob, c.IdlePerSecond)
		fmt.Fprintf(w, "per job\t%s\n", names(c.ByName))
		fmt.Fprintf(w, "per idle second\t%s\n", names(c.IdleByName))
		fmt.Fprintf(w, "with a backlog, 1 worker\t%.1f\n", c.Backlog)
		fmt.Fprintf(w, "per job\t%s\n\n", names(c.BacklogByName))
	}
	if len(r.Overhead) > 0 {
		fmt.Fprintf(w, "overhead\tservice median ms\tp99 ms\tbare nsjail median ms\tp99 ms\twith Python's own "+
			"end\toverhead ms\taim\n")
		for _, c := range r.Overhead {
			fmt.Fprintf(w, "%s script, %s sandbox\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", c.Script, c.Sandbox,
				c.Service.Median, c.Service.P99, c.Bare.Median, c.Bare.P99, c.BareFull.Median, c.Overhead,
				verdict(c.Overhead, overheadAim))
		}
	}
	r.printSpeed(w)
	return w.Flush()
}

// printSpeed prints the figures with which warm sandboxes are measured, as ratios within this run.
func (r *report) printSpeed(w io.Writer) {
	for _, c := range r.Overhead {
		if c.Script == "pandas" && c.Sandbox == "warm" {
			fmt.Fprintf(w, "\nwarm, pandas, one client\tgot\taim\n")
			fmt.Fprintf(w, "median ms\t%.1f\t%s\n", c.Service.Median, verdict(c.Service.Median, 8))
			fmt.Fprintf(w, "times less than bare nsjail\t%.1f\t%s\n", c.BareFull.Median/c.Service.Median,
				atLeast(c.BareFull.Median/c.Service.Median, 40))
			fmt.Fprintf(w, "p99 over p50\t%.1f\t%s\n", c.Service.P99/c.Service.Median,
				verdict(c.Service.P99/c.Service.Median, 4))
		}
	}
	aims := map[string]float64{"pandas": 25, "return 1": 2}
	for _, s := range r.Speed {
		fmt.Fprintf(w, "\n%s, jobs per second, %d clients\tservice %.0f\tdirect %.0f\tbare nsjail %.1f\n", s.Script,
			clients, s.Service, s.Direct, s.Bare)
		fmt.Fprintf(w, "times bare nsjail\t%.1f\t%s\n", s.Service/s.Bare, atLeast(s.Service/s.Bare, aims[s.Script]))
		fmt.Fprintf(w, "part of direct\t%.2f\t%s\n", s.Service/s.Direct, atLeast(s.Service/s.Direct, 0.6))
	}
	if r.Beside != nil {
		r.Beside.print(w)
	}
	if r.Files != nil {
		fmt.Fprintf(w, "\nfiles, MB per second\tin %.0f\tout %.0f\n", r.Files.InMBPerSecond, r.Files.OutMBPerSecond)
	}
	if r.IdleCost != nil {
		fmt.Fprintf(w, "\nat rest\tgot\taim\n")
		fmt.Fprintf(w, "MB for each ready sandbox\t%.2f\t%s\n", float64(r.IdleCost.ReadyBytes)/(1<<20),
			verdict(float64(r.IdleCost.ReadyBytes)/(1<<20), 3))
		fmt.Fprintf(w, "percent of a core, idle\t%.2f\t%s\n", r.IdleCost.CPU*100, verdict(r.IdleCost.CPU*100, 1))
	}
	if r.Environment != nil {
		r.Environment.print(w)
	}
	if r.Load != nil {
		r.Load.print(w)
	}
	printFloods(w, r.Floods)
	if r.Worker != nil {
		r.Worker.print(w)
	}
	if r.Doors != nil {
		r.Doors.print(w)
	}
	if r.Fair != nil {
		r.Fair.print(w)
	}
	if r.Keys != nil {
		r.Keys.print(w)
	}
}

func (c *clientLoad) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d watchers and %d waiting clients\tbefore\tmost\t%.0f s after\n", c.Watchers, c.Waiting,
		c.After.Seconds)
	row := func(name string, of func(footprint) float64) {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\n", name, of(c.Before), of(c.Most), of(c.After))
	}
	row("goroutines", func(f footprint) float64 { return float64(f.Goroutines) })
	row("open files", func(f footprint) float64 { return float64(f.Files) })
	row("heap in use, MB", func(f footprint) float64 { return float64(f.HeapBytes) / (1 << 20) })
	row("resident, MB", func(f footprint) float64 { return float64(f.RSSBytes) / (1 << 20) })
	fmt.Fprintf(w, "print to watcher, ms\tmedian %.1f\tp99 %.1f\tmax %.1f\n", c.Seen.Median, c.Seen.P99, c.Seen.Max)
	fmt.Fprintf(w, "waiting clients answered after, ms\tmedian %.0f\tp99 %.0f\tmax %.0f\n", c.Answered.Median,
		c.Answered.P99, c.Answered.Max)
}

func atLeast(got, aim float64) string {
	if got >= aim {
		return fmt.Sprintf("≥ %g: met", aim)
	}
	return fmt.Sprintf("≥ %g: MISSED", aim)
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
