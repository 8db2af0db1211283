// Command cellblock is Cellblock's program for people. `cellblock up` runs the
// whole of it on this machine.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is set at build time.
var version = ""

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
		kong.Vars{"version": versionText(), "data": defaultData()},
	)
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cellblock:", err)
		os.Exit(1)
	}
}

// versionText is the version given at build time, else what Go noted itself.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
