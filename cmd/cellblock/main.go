// Command cellblock is Cellblock's program for people. `cellblock up` runs the
// whole of it on this machine.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"cellblock/internal/buildinfo"
)

type commands struct {
	Up      upCommand        `cmd:"" help:"Run Redis, the API and workers on this machine until Ctrl-C."`
	Doctor  doctorCommand    `cmd:"" help:"Say what this machine can enforce and how, a line each; exits with 1 where the worker would refuse to start."`
	Version kong.VersionFlag `help:"Print the version and leave."`
}

func main() {
	var c commands
	parsed := kong.Parse(&c,
		kong.Name("cellblock"),
		kong.Description("Runs untrusted Python behind an HTTP API."),
		kong.Vars{"version": buildinfo.Version(), "data": defaultData()},
	)
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cellblock:", err)
		os.Exit(1)
	}
}
