package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cellblock/client"
)

// usageCommand is `cellblock usage`.
type usageCommand struct {
	Service serviceFlags `embed:""`
	From    string       `placeholder:"DATE" help:"First day (UTC), such as 2026-01-31; without it, six days before the last one."`
	To      string       `placeholder:"DATE" help:"Last day, which counts too, at most 91 days after the first; without it, today."`
	Tenant  string       `placeholder:"NAME" help:"Only the usage of this tenant; for administrators, who otherwise see all."`
	ByLabel bool         `help:"Split days by the values of the label that the service's USAGE_LABEL names."`
	JSON    bool         `name:"json" help:"Print the service's response."`
}

// Help is the text of 'cellblock usage --help'.
func (*usageCommand) Help() string {
	return `A row is what the jobs of a tenant used that ended on that day. CPU and WALL are seconds, IN and OUT bytes.
OTHERS are the jobs that did not succeed, by their code. LABEL, with --by-label, is the value of the label, - the jobs
without one, and (others) all values beyond the first 1000 of a tenant and day.

    cellblock usage --from 2026-01-01 --to 2026-01-31 --tenant acme
    cellblock usage --json | jq .totals.cpu_seconds`
}

// options returns the options for the flags.
func (c *usageCommand) options() (options client.UsageOptions, err error) {
	options.Tenant, options.ByLabel = c.Tenant, c.ByLabel
	for _, flag := range []struct {
		name, text string
		day        *time.Time
	}{{"from", c.From, &options.From}, {"to", c.To, &options.To}} {
		if flag.text == "" {
			continue
		}
		if *flag.day, err = time.Parse(time.DateOnly, flag.text); err != nil {
			return options, fmt.Errorf("--%s is %q; it must be a date such as 2026-01-31", flag.name, flag.text)
		}
	}
	return options, nil
}

// Validate is called by kong.
func (c *usageCommand) Validate() error {
	_, err := c.options()
	return err
}

// Run shows the usage.
func (c *usageCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		options, err := c.options()
		if err != nil {
			return usage(err)
		}
		report, err := service.Usage(ctx, options)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			return printJSON(report)
		}
		return showUsage(report, c.ByLabel)
	})
}

// showUsage prints a row for each tenant and day, or each label of these, and one for the totals.
func showUsage(report *client.UsageReport, byLabel bool) error {
	table := tabwriter.NewWriter(standardOutput, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	row := func(tenant, day, label string, rest ...any) {
		fmt.Fprintf(table, "%s\t%s\t", tenant, day)
		if byLabel {
			fmt.Fprintf(table, "%s\t", label)
		}
		fmt.Fprintf(table, strings.Repeat("%v\t", len(rest)-1)+"%v\n", rest...)
	}
	sums := func(tenant, day, label string, sum client.UsageTotals) {
		row(tenant, day, label, sum.Jobs["ok"], fmt.Sprintf("%.3f", sum.CPUSeconds),
			fmt.Sprintf("%.3f", sum.WallSeconds), sum.BytesIn, sum.BytesOut, failures(sum.Jobs))
	}
	row("TENANT", "DAY", "LABEL", "OK", "CPU", "WALL", "IN", "OUT", "OTHERS")
	for _, u := range report.Usage {
		sums(u.Tenant, u.Day, labelOf(u), client.UsageTotals{
			Jobs: u.Jobs, CPUSeconds: u.CPUSeconds, WallSeconds: u.WallSeconds,
			BytesIn: u.BytesIn, BytesOut: u.BytesOut,
		})
	}
	sums("total", "", "", report.Totals)
	return table.Flush()
}

// labelOf returns what stands for the label of a row: parentheses and a lone hyphen are in no value.
func labelOf(row client.DayUsage) string {
	switch {
	case row.Label == nil:
		return "-"
	case *row.Label == "":
		return "(others)"
	default:
		return *row.Label
	}
}

// failures returns the numbers of jobs that did not succeed, such as "exception 2, timeout 1"; "-" for none.
func failures(jobs map[string]int64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(jobs)) {
		if code != "ok" {
			parts = append(parts, fmt.Sprintf("%s %d", code, jobs[code]))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
