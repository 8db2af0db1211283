package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"cellblock/internal/environment"
	"cellblock/internal/environment/build"
)

// envCommands are the subcommands of `cellblock env`.
type envCommands struct {
	Build  envBuildCommand  `cmd:"" help:"Build environments from their source folders; those that are up to date are left alone."`
	List   envListCommand   `cmd:"" help:"List environments, built or not."`
	Check  envCheckCommand  `cmd:"" help:"Check an environment: its files, its imports, and a script in a sandbox."`
	Remove envRemoveCommand `cmd:"" help:"Remove built environments; the source folders stay."`
}

// Help is the text of `cellblock env --help`.
func (envCommands) Help() string {
	return `An environment is a named, read-only Python with packages. Its source is a folder environments/NAME with
requirements.txt (pinned, with hashes) and environment.toml; docs/environments.md explains both. Running workers notice
what is built and removed.

    cellblock env build data-science
    cellblock env list`
}

// envNames is the argument of commands on several environments.
type envNames struct {
	Names []string `arg:"" name:"name" help:"The environments' names."`
}

// Validate is called by kong.
func (n envNames) Validate() error {
	var errs []error
	for _, name := range n.Names {
		errs = append(errs, environment.CheckName(name))
	}
	return errors.Join(errs...)
}

// envBuildCommand is `cellblock env build`.
type envBuildCommand struct {
	build.Settings `embed:""`
	envNames       `embed:""`

	Force       bool `help:"Build even if nothing has changed."`
	AllowSource bool `name:"allow-source-builds" help:"Also build packages that have no wheel. Their setup runs as this user, outside any sandbox: only for packages that you trust with this machine."`
}

// Help is the text of `cellblock env build --help`.
func (*envBuildCommand) Help() string {
	return `The packages are downloaded from PyPI, or from where pip is configured to look (PIP_INDEX_URL,
PIP_FIND_LINKS). Each download must have a hash of requirements.txt. Until everything is installed and tried,
the present version stays in use, and it stays on disk until the next build for the jobs that run in it.

Exit status: 1 if one could not be built, 2 for wrong usage, 130 after Ctrl-C.

    cellblock env build default data-science
    cellblock env build reports --environments-source ~/environments`
}

// Run builds each environment; after one that fails, the others are still built.
func (c *envBuildCommand) Run() error {
	report := build.NewReport(os.Stderr, isTerminal(os.Stderr) && colorsEnabled())
	return untilInterrupted(func(ctx context.Context) error {
		var errs []error
		for _, name := range c.Names {
			options := build.Options{Force: c.Force, AllowSource: c.AllowSource}
			changed, err := report.Build(ctx, c.Settings, name, options)
			if err == nil && !changed {
				fmt.Fprintln(os.Stderr, name+": up to date")
			}
			if errs = append(errs, err); ctx.Err() != nil {
				break
			}
		}
		return errors.Join(errs...)
	})
}

// untilInterrupted calls do with a context that ends at the first Ctrl-C, and returns the program's exit.
func untilInterrupted(do func(ctx context.Context) error) error {
	ctx, stop := withSignals()
	defer stop()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		return &exit{status: interruptStatus(ctx), err: errors.New("interrupted; nothing has changed")}
	}
	return err
}

// envListCommand is `cellblock env list`.
type envListCommand struct {
	build.Settings `embed:""`

	JSON bool `name:"json" help:"Print one line of JSON per environment that is built: its environment.json."`
}

// Run lists the environments.
func (c *envListCommand) Run() error {
	all, err := build.List(context.Background(), c.Settings)
	if err != nil {
		return err
	}
	const columns = "%-20s  %s  %-8s  %8s  %s\n"
	if !c.JSON {
		fmt.Fprintf(standardOutput, columns, "NAME", fmt.Sprintf("%-9s", "STATE"), "PYTHON", "PACKAGES", "DESCRIPTION")
	}
	for _, env := range all {
		if c.JSON && env.Hash != "" {
			if err := printJSON(env.Manifest); err != nil {
				return err
			}
		}
		if env.Problem != nil {
			fmt.Fprintf(os.Stderr, "%s %s: %v\n", colorize(os.Stderr, yellow, "cellblock:"), env.Name, env.Problem)
		}
		if c.JSON {
			continue
		}
		python, packages := "-", "-"
		if env.Hash != "" {
			python, packages = env.Python, strconv.Itoa(len(env.Packages))
		}
		state := colorize(os.Stdout, envColor(env.State), fmt.Sprintf("%-9s", env.State))
		fmt.Fprintf(standardOutput, columns, env.Name, state, python, packages, env.Description)
	}
	return nil
}

func envColor(state string) int {
	switch state {
	case build.StateReady, build.StateNoSource:
		return green
	case build.StateChanged:
		return yellow
	case build.StateBroken:
		return red
	default:
		return dim
	}
}

// envRemoveCommand is `cellblock env remove`.
type envRemoveCommand struct {
	build.Settings `embed:""`
	envNames       `embed:""`
}

// Help is the text of `cellblock env remove --help`.
func (*envRemoveCommand) Help() string {
	return `Jobs that run in the environment may fail, and later ones that ask for it wait for a worker that has it.

    cellblock env remove reports`
}

// Run removes each environment.
func (c *envRemoveCommand) Run() error {
	return untilInterrupted(func(ctx context.Context) error {
		var errs []error
		for _, name := range c.Names {
			progress := func(step, _ string) { fmt.Fprintf(os.Stderr, "%s: %s\n", name, step) }
			err := build.Remove(ctx, c.Settings, name, progress)
			if errs = append(errs, err); err == nil {
				fmt.Fprintln(standardOutput, name, "removed")
			}
		}
		return errors.Join(errs...)
	})
}
