// Command build-environments builds environments, as `cellblock env build` does. It has nothing else, so that images
// and scripts/setup need not build the whole service first, and a layer of an image with packages outlives changes of
// the service.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"cellblock/internal/environment"
	"cellblock/internal/environment/build"
)

type flags struct {
	build.Settings `embed:""`

	Force       bool     `help:"Build even if nothing has changed."`
	AllowSource bool     `name:"allow-source-builds" help:"Also build packages that have no wheel; their setup runs as this user, outside any sandbox."`
	Names       []string `arg:"" name:"name" help:"The environments' names."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Vars{"prefix": environment.DefaultPrefix()})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	options := build.Options{Force: f.Force, AllowSource: f.AllowSource}
	report := build.NewReport(os.Stderr, isatty.IsTerminal(os.Stderr.Fd()))
	for _, name := range f.Names {
		if _, err := report.Build(ctx, f.Settings, name, options); err != nil {
			fmt.Fprintln(os.Stderr, "build-environments:", err)
			os.Exit(1) //nolint:gocritic // nothing is left to clean up
		}
	}
}
