// Command cellblock is Cellblock's program for people. `cellblock up` runs the
// whole of it on this machine; `cellblock run` and its like use one that runs.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"cellblock/internal/buildinfo"
	"cellblock/internal/nsjail"
)

type commands struct {
	Run        runCommand        `cmd:"" help:"Run a script and show what it prints and gives." group:"Scripts"`
	Submit     submitCommand     `cmd:"" help:"Hand a script in, print the job's id and leave." group:"Scripts"`
	Get        getCommand        `cmd:"" help:"Show a job." group:"Scripts"`
	Cancel     cancelCommand     `cmd:"" help:"Cancel jobs." group:"Scripts"`
	List       listCommand       `cmd:"" help:"List jobs, newest first." group:"Scripts"`
	Batch      batchCommands     `cmd:"" help:"Run many scripts at once." group:"Scripts"`
	Up         upCommand         `cmd:"" help:"Run Redis, the API and workers on this machine until Ctrl-C." group:"Service"`
	Doctor     doctorCommand     `cmd:"" help:"Say what this machine can enforce and how, a line each; exits with 1 where the worker would refuse to start." group:"Service"`
	Completion completionCommand `cmd:"" help:"Print a script that has the shell complete cellblock's words." group:"More"`
	Complete   completeCommand   `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"What the script of completion asks."`
	Version    kong.VersionFlag  `help:"Print the version and leave."`
}

// Help is what `cellblock --help` says beside the list.
func (commands) Help() string { return exitHelp }

func main() { os.Exit(start(os.Args[1:])) }

// start runs the command that the words name, and gives the exit status.
func start(words []string) int {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("cellblock"),
		kong.Description("Runs untrusted Python behind an HTTP API."),
		kong.Vars{"version": buildinfo.Version(), "data": defaultData(), "prefix": nsjail.DefaultPrefix()},
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cellblock:", err)
		return statusFault
	}
	parsed, err := parser.Parse(words)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cellblock: %v; --help says more\n", err)
		return statusUsage
	}
	return leave(parsed.Run())
}

// helpWidth is the widest that help is set, in columns.
const helpWidth = 120
