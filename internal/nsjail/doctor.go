package nsjail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// The values of Check.Status.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// Check is one thing that a machine can or cannot enforce, and how.
type Check struct {
	Name   string
	Status string
	Text   string
}

// probeScript reports what a script sees inside a sandbox.
const probeScript = `
import importlib.metadata, os, platform, socket

def status():
    with open("/proc/self/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)

def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""

def main():
    s = status()
    try:
        socket.socket()
        network = "open"
    except OSError as e:
        network = f"errno {e.errno}"
    with open("/proc/self/uid_map") as f:
        outside = int(f.read().split()[1])
    return {
        "python": platform.python_version(), "numpy": version("numpy"), "pandas": version("pandas"),
        "seccomp": s["Seccomp"], "no_new_privs": s["NoNewPrivs"], "capabilities": s["CapEff"],
        "network": network, "outside": outside, "pid": os.getpid(),
    }
`

// probe is the result of probeScript.
type probe struct {
	Python, Numpy, Pandas string
	Seccomp               string
	NoNewPrivs            string `json:"no_new_privs"`
	Capabilities          string
	Network               string
	Outside               int
	PID                   int
}

// Doctor tests, with real sandboxes, what this machine can enforce. Each check depends only on
// those before it.
func Doctor(ctx context.Context, settings Settings) []Check {
	checks := []Check{checkNsjail(ctx, settings)}
	host, err := Open(ctx, settings)
	if err != nil {
		return append(checks, Check{"worker", CheckFail, "would refuse to start: " + err.Error()})
	}
	defer host.Close() //nolint:errcheck // the process ends next
	checks = append(checks, checkCgroups(host), checkCoreDumps())
	for _, sentence := range host.missingPackages {
		checks = append(checks, Check{"packages", CheckWarn, sentence})
	}
	sandbox, err := NewCold(host, slog.New(slog.DiscardHandler)).Acquire(ctx, "")
	if err != nil {
		return append(checks, Check{"sandbox", CheckFail, settings.explain(err).Error()})
	}
	outcome := sandbox.Run(ctx, probeScript, nil)
	return append(append(checks, inspect(outcome)...), checkWarm(ctx, host))
}

// checkWarm tests whether warm sandboxes work.
func checkWarm(ctx context.Context, host *Host) Check {
	if host.settings.Sandbox != KindWarm {
		return Check{"warm sandboxes", CheckOK, "switched off (SANDBOX=cold)"}
	}
	warm, err := NewWarm(ctx, host, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return Check{"warm sandboxes", CheckWarn, fmt.Sprintf("not possible here (%v); the worker goes on with cold ones", err)}
	}
	defer warm.Close()
	sandbox, err := warm.Acquire(ctx, probeScript)
	if err != nil {
		return Check{"warm sandboxes", CheckWarn, err.Error()}
	}
	outcome := sandbox.Run(ctx, probeScript, nil)
	if outcome.Failure != nil {
		return Check{"warm sandboxes", CheckWarn, outcome.Failure.Message}
	}
	return Check{"warm sandboxes", CheckOK, fmt.Sprintf("preloaded: %s; a trial script ran in %.0f ms", strings.Join(host.settings.packages(), ", "), outcome.Usage.RunMS)}
}

// inspect returns the checks of what the trial script saw from inside.
func inspect(outcome jobs.Outcome) []Check {
	if outcome.Failure != nil {
		return []Check{{"sandbox", CheckFail, fmt.Sprintf("a trial script failed: %s %s", outcome.Failure.Message, outcome.Failure.Traceback)}}
	}
	var found probe
	if err := json.Unmarshal(outcome.Result, &found, json.MatchCaseInsensitiveNames(true)); err != nil {
		return []Check{{"sandbox", CheckFail, "a trial script gave an odd answer: " + err.Error()}}
	}
	return checkInside(found, outcome.Usage)
}

func checkInside(found probe, usage jobs.Usage) []Check {
	pass := func(name string, good bool, text string) Check {
		if good {
			return Check{name, CheckOK, text}
		}
		return Check{name, CheckFail, text}
	}
	packages := CheckOK
	if found.Numpy == "" || found.Pandas == "" {
		packages = CheckWarn
	}
	return []Check{
		pass("user namespace", found.Outside != 0, fmt.Sprintf("scripts run as uid %d outside, without root's rights", found.Outside)),
		pass("capabilities", strings.Trim(found.Capabilities, "0") == "", "none inside: "+found.Capabilities),
		pass("no_new_privs", found.NoNewPrivs == "1", found.NoNewPrivs),
		pass("seccomp", found.Seccomp == "2", "mode "+found.Seccomp+" (2 is a filter)"),
		pass("network", found.Network == "errno 13", "socket() gives "+found.Network),
		pass("pid namespace", found.PID == 2, fmt.Sprintf("the script is pid %d", found.PID)),
		{"python", packages, fmt.Sprintf("%s, numpy %s, pandas %s", found.Python, orMissing(found.Numpy), orMissing(found.Pandas))},
		{"sandbox", CheckOK, fmt.Sprintf("a trial script ran in %.0f ms", usage.RunMS)},
	}
}

func orMissing(version string) string {
	if version == "" {
		return "missing"
	}
	return version
}

// nsjailVersion prints the version of the package that contains nsjail: the program has no option
// that prints its version.
const nsjailVersion = `from nsjail._nsjail_version import __nsjail_version__ as v; print(v, end="")`

func checkNsjail(ctx context.Context, settings Settings) Check {
	ctx, cancel := context.WithTimeout(ctx, pythonBound)
	defer cancel()
	// --help is the only option that runs nothing; nsjail exits with 0.
	if err := exec.CommandContext(ctx, settings.Nsjail, "--help").Run(); err != nil { //nolint:gosec // the operator's nsjail
		return Check{"nsjail", CheckFail, fmt.Sprintf("%s does not run: %v (make setup installs it)", settings.Nsjail, err)}
	}
	out, err := exec.CommandContext(ctx, settings.Python, "-I", "-c", nsjailVersion).Output() //nolint:gosec // the operator's interpreter
	if err != nil {
		return Check{"nsjail", CheckOK, settings.Nsjail + ", of unknown version"}
	}
	return Check{"nsjail", CheckOK, fmt.Sprintf("%s, version %s", settings.Nsjail, out)}
}

func checkCgroups(host *Host) Check {
	version, err := host.CgroupVersion()
	if err != nil {
		return Check{"cgroups", CheckWarn, fmt.Sprintf("not in use (%v); rlimits hold the line, for each process: memory and process limits show inside the script, peak memory is unknown", err)}
	}
	return Check{"cgroups", CheckOK, version + ": memory, processes and CPU time are limited and counted for each job"}
}

// checkCoreDumps warns of a core dump handler, which the kernel starts as root and outside of every
// sandbox when a script crashes. The rlimit on core files does not apply to handlers (core(5)).
func checkCoreDumps() Check {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err == nil && strings.HasPrefix(string(pattern), "|") {
		return Check{"core dumps", CheckWarn, "a script that crashes starts this machine's handler as root: " + strings.TrimSpace(string(pattern)) + "; `sysctl kernel.core_pattern=core` switches it off"}
	}
	return Check{"core dumps", CheckOK, "no handler is started when a script crashes"}
}
