package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"cellblock/internal/environment"
	"cellblock/internal/environment/build"
	"cellblock/internal/nsjail"
	"cellblock/internal/nsjail/host"
)

// envCheckCommand is `cellblock env check`.
type envCheckCommand struct {
	build.Settings `embed:""`

	Name string `arg:"" help:"The environment's name."`
}

// Help is the text of `cellblock env check --help`.
func (*envCheckCommand) Help() string {
	return `It prints one line for each check and exits with 1 if one fails. The trial in a sandbox needs root, and
takes the worker's settings from the environment (bin/worker --help).

    cellblock env check data-science`
}

// Validate is called by kong.
func (c *envCheckCommand) Validate() error { return environment.CheckName(c.Name) }

// errEnvBroken makes check exit with 1. The printed lines have the reason.
var errEnvBroken = errors.New("the environment is not as it should be; `cellblock env build --force` builds it anew")

// Run prints a line for each check.
func (c *envCheckCommand) Run() error {
	return untilInterrupted(func(ctx context.Context) error {
		env, err := build.Find(ctx, c.Settings, c.Name)
		if err != nil {
			return err
		}
		if env.Hash == "" {
			return errors.Join(fmt.Errorf("the environment %s is %s; `cellblock env build %s` builds it",
				c.Name, env.State, c.Name), env.Problem)
		}
		checks := []func(context.Context, build.Status) host.Check{
			checkSource, checkFiles, checkImports, c.checkSandbox,
		}
		failed := false
		for _, check := range checks {
			result := check(ctx, env)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(standardOutput, "%s  %-8s %s\n", mark(result.Status), result.Name, result.Text)
			failed = failed || result.Status == host.CheckFail
		}
		if failed {
			return errEnvBroken
		}
		return nil
	})
}

func checkSource(_ context.Context, env build.Status) host.Check {
	text := fmt.Sprintf("%s, Python %s, %d packages, in %s", env.State, env.Python, len(env.Packages), env.Dir)
	if env.Problem != nil {
		return host.Warn("source", fmt.Sprintf("%s: %v", text, env.Problem))
	}
	if env.State == build.StateChanged {
		return host.Warn("source", text+"; `cellblock env build "+env.Name+"` builds what its source folder has now")
	}
	return host.OK("source", text)
}

func checkFiles(ctx context.Context, env build.Status) host.Check {
	n, err := build.CheckFiles(ctx, env.Dir)
	if err != nil {
		return host.Fail("files", err.Error())
	}
	return host.OK("files", fmt.Sprintf("all %d are as they were built, by their hashes", n))
}

func checkImports(ctx context.Context, env build.Status) host.Check {
	n, err := build.CheckImports(ctx, env.Installed)
	if err != nil {
		return host.Fail("imports", err.Error())
	}
	return host.OK("imports", fmt.Sprintf("all %d modules can be imported", n))
}

// checkSandbox runs a script that imports what the environment preloads.
func (c *envCheckCommand) checkSandbox(ctx context.Context, env build.Status) host.Check {
	if os.Geteuid() != 0 {
		return host.Warn("sandbox", "not tried; that needs root")
	}
	settings, err := fromEnvironment[nsjail.Settings]()
	if err != nil {
		return host.Fail("sandbox", err.Error())
	}
	settings.Python = env.Interpreter()
	settings.Nsjail = filepath.Join(c.Prefix, "bin", "nsjail")
	script := fmt.Sprintf("def main():\n    import importlib, sys\n    for name in %s:\n"+
		"        importlib.import_module(name)\n    return sys.version.split()[0]\n", pythonList(env.Preload))
	outcome, err := nsjail.TryScript(ctx, settings, script)
	switch {
	case err != nil:
		return host.Fail("sandbox", err.Error())
	case outcome.Failure != nil:
		return host.Fail("sandbox", outcome.Failure.Message+" "+outcome.Failure.Traceback)
	case string(outcome.Result) != `"`+env.Python+`"`:
		return host.Fail("sandbox", fmt.Sprintf("it has Python %s instead of %s", outcome.Result, env.Python))
	}
	return host.OK("sandbox", fmt.Sprintf("a trial script ran in %.0f ms, and imported: %s",
		outcome.Usage.RunMS, strings.Join(env.Preload, ", ")))
}

// pythonList returns names of modules as a list in Python.
func pythonList(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	return "['" + strings.Join(names, "', '") + "']"
}

// fromEnvironment returns settings as a program without flags would have them.
func fromEnvironment[T any]() (T, error) {
	var settings T
	parser, err := kong.New(&settings, kong.Vars{"prefix": environment.DefaultPrefix()})
	if err == nil {
		_, err = parser.Parse(nil)
	}
	return settings, err
}
