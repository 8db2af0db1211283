package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"text/tabwriter"

	"cellblock/test/results"
)

// print writes the report as tables and reports whether the run passed.
func (r report) print(out io.Writer) bool {
	passed := r.Jobs.brokenPromises() == 0
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nat rest\tbegin\tend\tat most\t\n")
	for _, row := range r.Rows {
		verdict := ""
		if row.Grew {
			verdict, passed = "GREW", false
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", row.What, row.text(row.Begin), row.text(row.End),
			row.text(row.Bound), verdict)
	}
	t := r.Jobs
	fmt.Fprintf(w, "\njobs\taccepted\tran\ttwice\tno end\tswapped\twrong end\twrong answers\tworker_lost\tlate\n")
	fmt.Fprintf(w, "\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n\n", t.Accepted, t.Ran, t.Twice, t.Endless, t.Swapped,
		t.Wrong, t.Answers, t.WorkerLost, t.Late)
	for _, name := range slices.Sorted(maps.Keys(r.Kills)) {
		fmt.Fprintf(w, "%s\t%d\n", name, r.Kills[name])
	}
	_ = w.Flush() // to a terminal or a log
	return passed
}

func (r row) text(value float64) string {
	if r.unit == "MB" {
		return fmt.Sprintf("%.1f MB", value/mb)
	}
	return fmt.Sprintf("%.0f", value)
}

// machine identifies the machine; compare figures of the same machine only.
func machine() string {
	return fmt.Sprintf("%d cores, Linux %s", runtime.NumCPU(), results.Kernel())
}
