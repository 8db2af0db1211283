// Command cellblock is the command line of Cellblock. `cellblock up` runs the whole service on this machine;
// `cellblock run` and similar commands use a running one.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"cellblock/internal/buildinfo"
	"cellblock/internal/environment"
)

type commands struct {
	Run          runCommand          `cmd:"" help:"Run a script and show its output and result." group:"Scripts"`
	Submit       submitCommand       `cmd:"" help:"Submit a script, print the job's id and exit." group:"Scripts"`
	Get          getCommand          `cmd:"" help:"Show a job." group:"Scripts"`
	Cancel       cancelCommand       `cmd:"" help:"Cancel jobs." group:"Scripts"`
	List         listCommand         `cmd:"" help:"List jobs, newest first." group:"Scripts"`
	Environments environmentsCommand `cmd:"" help:"List the environments that scripts can run in." group:"Scripts"`
	Usage        usageCommand        `cmd:"" help:"Show what jobs have used, by day." group:"Scripts"`
	Activity     activityCommand     `cmd:"" help:"Show how many jobs wait, run and ended in the last hour." group:"Scripts"`
	Upload       uploadCommand       `cmd:"" help:"Store a file for later scripts and print its id." group:"Scripts"`
	Batch        batchCommands       `cmd:"" help:"Run many scripts at once." group:"Scripts"`
	Key          keyCommands         `cmd:"" help:"Create, list, revoke and rotate the keys of tenants." group:"Service"`
	Up           upCommand           `cmd:"" help:"Run Redis, the API and workers on this machine until Ctrl-C." group:"Service"`
	Doctor       doctorCommand       `cmd:"" help:"Report which limits and protections this machine can enforce, and how; exits with 1 if the worker would refuse to start." group:"Service"`
	Workers      workersCommand      `cmd:"" help:"For administrators: list the workers." group:"Service"`
	Tenant       tenantCommands      `cmd:"" help:"For administrators: what belongs to tenants." group:"Service"`
	Env          envCommands         `cmd:"" help:"Build, list, check and remove environments: named Pythons with packages." group:"Service"`
	MCP          mcpCommand          `cmd:"" name:"mcp" help:"Serve the MCP server for agents on standard input and output." group:"Service"`
	Completion   completionCommand   `cmd:"" help:"Print a script that makes the shell complete cellblock's commands and flags." group:"More"`
	Complete     completeCommand     `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"Print completions, for the script that completion prints."`
	Version      kong.VersionFlag    `help:"Print the version and exit."`
}

// Help is the text of `cellblock --help` after the list of commands.
func (commands) Help() string { return exitHelp }

func main() { os.Exit(start(os.Args[1:])) }

// start runs the command in words and returns the exit status.
func start(words []string) int {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("cellblock"),
		kong.Description("Run untrusted Python behind an HTTP API."),
		kong.Vars{"version": buildinfo.Version(), "data": defaultData(), "prefix": environment.DefaultPrefix()},
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, WrapUpperBound: helpWidth}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cellblock:", err)
		return statusFault
	}
	parsed, err := parser.Parse(words)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cellblock: %v; see --help\n", err)
		return statusUsage
	}
	return exitStatus(parsed.Run())
}

// helpWidth is the maximum width of help texts, in columns.
const helpWidth = 120
