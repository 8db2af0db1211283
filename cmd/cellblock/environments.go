package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"

	"cellblock/client"
)

// environmentsCommand is `cellblock environments`.
type environmentsCommand struct {
	Service  serviceFlags `embed:""`
	Packages bool         `short:"p" xor:"how" help:"Print the packages of each with their versions too."`
	JSON     bool         `name:"json" xor:"how" help:"Print one line of JSON per environment."`
}

// Help is the text of `cellblock environments --help`.
func (*environmentsCommand) Help() string {
	return `WORKERS is the number of workers that have the environment: the jobs of one without workers wait.

    cellblock environments
    cellblock environments --json | jq -r '.packages[] | .name + "==" + .version'`
}

// Run lists the environments.
func (c *environmentsCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		environments, err := service.Environments(ctx)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			return printEnvironmentsJSON(environments)
		}
		table := tabwriter.NewWriter(standardOutput, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
		fmt.Fprintln(table, "NAME\tPYTHON\tWORKERS\tPACKAGES\tDESCRIPTION")
		for _, e := range environments {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", e.Name, e.Python, e.Workers, len(e.Packages),
				strings.Join(strings.Fields(e.Description), " "))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if c.Packages {
			printPackages(environments)
		}
		return nil
	})
}

func printEnvironmentsJSON(environments []client.Environment) error {
	for _, e := range environments {
		encoded, err := json.Marshal(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(standardOutput, "%s\n", encoded)
	}
	return nil
}

func printPackages(environments []client.Environment) {
	for _, e := range environments {
		fmt.Fprintf(standardOutput, "\n%s:\n", e.Name)
		for _, p := range e.Packages {
			fmt.Fprintf(standardOutput, "  %s %s\n", p.Name, p.Version)
		}
	}
}
