package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/zygote"
)

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

// Doctor tests, with real sandboxes, what this machine can enforce on so many jobs at once. Each check depends only on
// those before it.
func Doctor(ctx context.Context, settings Settings, jobs int) []host.Check {
	checks := []host.Check{host.CheckNsjail(ctx, settings.Settings)}
	h, err := Open(ctx, settings)
	if err != nil {
		return append(checks, refusal(err))
	}
	defer h.Close() //nolint:errcheck // the process ends next
	checks = append(checks,
		host.CheckKernel(), host.CheckCoreDumps(), h.CheckFileLocks(), h.CheckCapacity(jobs))
	zygotes, sentences := settings.Zygote.WithoutMissing(h.MissingPackages, settings.Python)
	for _, sentence := range sentences {
		checks = append(checks, host.Warn("packages", sentence))
	}
	found := examine(ctx, h, settings, zygotes)
	if reason := found.rejectCgroups(); reason != nil {
		if err := h.RejectCgroups(reason); err != nil {
			return append(checks, refusal(err))
		}
		found = examine(ctx, h, settings, zygotes)
	}
	checks = append(checks, h.CheckCgroups())
	return append(checks, found.checks...)
}

func refusal(err error) host.Check { return host.Fail("worker", "would refuse to start: "+err.Error()) }

// examination is what the sandboxes of this machine showed.
type examination struct {
	checks     []host.Check
	cold, warm assessment
}

func (e *examination) rejectCgroups() error {
	return errors.Join(e.cold.rejectCgroups, e.warm.rejectCgroups)
}

// examine looks at both kinds of sandboxes from inside and tries their controls.
func examine(ctx context.Context, h *host.Host, settings Settings, zygotes zygote.Settings) examination {
	var e examination
	if err := unfitForGVisor(h, settings); err != nil {
		e.checks = append(e.checks, refusal(err))
		return e
	}
	logger := slog.New(slog.DiscardHandler)
	if !h.GVisor && !e.examineCold(ctx, h, logger) {
		return e
	}
	warmCheck := host.OK("warm sandboxes", "switched off (SANDBOX=cold)")
	if settings.Sandbox == KindWarm {
		warmCheck = e.examineWarm(ctx, h, zygotes, logger)
	}
	e.checks = append(e.checks, controlChecks(e.cold, e.warm)...)
	e.checks = append(e.checks, warmCheck)
	return e
}

// examineCold looks at cold sandboxes; it returns false if there are none.
func (e *examination) examineCold(ctx context.Context, h *host.Host, logger *slog.Logger) bool {
	cold, err := jail.NewProvider(h, h.Interpreter, logger)
	if err != nil {
		e.checks = append(e.checks, refusal(err))
		return false
	}
	sandbox, err := cold.Acquire(ctx, "")
	if err != nil {
		e.checks = append(e.checks, host.Fail("sandbox", h.Explain(err).Error()))
		return false
	}
	e.checks = checkOutcome(sandbox.Run(ctx, probeScript, jobs.EntryMain, nil))
	if e.cold, err = tryControls(ctx, h, cold.Acquire); err != nil {
		e.checks = append(e.checks, host.Fail("sandbox", h.Explain(err).Error()))
		return false
	}
	return true
}

// controlChecks returns a check for each control that was tried, in cold sandboxes, in warm ones, or in both.
func controlChecks(cold, warm assessment) []host.Check {
	var checks []host.Check
	for i := range max(len(cold.findings), len(warm.findings)) {
		inCold, hasCold := cold.checkAt(i)
		inWarm, hasWarm := warm.checkAt(i)
		if hasCold && hasWarm && inCold == inWarm {
			inCold.Text += " (both kinds of sandboxes)"
			checks = append(checks, inCold)
			continue
		}
		if hasWarm {
			inWarm.Text += " (warm sandboxes)"
			checks = append(checks, inWarm)
		}
		if hasCold {
			inCold.Text += " (cold sandboxes)"
			checks = append(checks, inCold)
		}
	}
	return checks
}

// checkAt returns the check for a finding; false if there are not so many.
func (a assessment) checkAt(i int) (host.Check, bool) {
	if i >= len(a.findings) {
		return host.Check{}, false
	}
	return a.check(a.findings[i]), true
}

// examineWarm tests whether warm sandboxes work, and tries their controls.
func (e *examination) examineWarm(
	ctx context.Context, h *host.Host, zygotes zygote.Settings, logger *slog.Logger,
) host.Check {
	missing := func(text string) host.Check {
		if h.GVisor {
			return host.Fail("warm sandboxes", "not possible here, and no others hold in gVisor: "+text)
		}
		return host.Warn("warm sandboxes", "not possible here, and the worker goes on with cold ones: "+text)
	}
	try := func(acquire zygote.Acquire) (err error) {
		e.warm, err = tryControls(ctx, h, acquire)
		return err
	}
	warm, err := zygote.NewProvider(ctx, h, zygotes, 1, logger, try)
	if err != nil {
		return missing(err.Error())
	}
	defer warm.Close()
	sandbox, err := warm.Acquire(ctx, probeScript)
	if err != nil {
		return missing(err.Error())
	}
	outcome := sandbox.Run(ctx, probeScript, jobs.EntryMain, nil)
	if outcome.Failure != nil {
		return missing(outcome.Failure.Message)
	}
	if h.GVisor {
		e.checks = append(e.checks, checkOutcome(outcome)...)
	}
	return host.OK("warm sandboxes", fmt.Sprintf("preloaded: %s; a trial script ran in %.0f ms",
		strings.Join(zygotes.Preload, ", "), outcome.Usage.RunMS))
}

// checkOutcome returns the checks of what the trial script saw from inside.
func checkOutcome(outcome jobs.Outcome) []host.Check {
	if failure := outcome.Failure; failure != nil {
		text := fmt.Sprintf("a trial script failed: %s %s", failure.Message, failure.Traceback)
		return []host.Check{host.Fail("sandbox", text)}
	}
	var found probe
	if err := json.Unmarshal(outcome.Result, &found, json.MatchCaseInsensitiveNames(true)); err != nil {
		return []host.Check{host.Fail("sandbox", "a trial script returned something else: "+err.Error())}
	}
	return checkInside(found, outcome.Usage)
}

func checkInside(found probe, usage jobs.Usage) []host.Check {
	pass := func(name string, good bool, text string) host.Check {
		if good {
			return host.OK(name, text)
		}
		return host.Fail(name, text)
	}
	python := host.OK
	if found.Numpy == "" || found.Pandas == "" {
		python = host.Warn
	}
	return []host.Check{
		pass("user namespace", found.Outside != 0,
			fmt.Sprintf("scripts run as uid %d outside, without root's rights", found.Outside)),
		pass("capabilities", strings.Trim(found.Capabilities, "0") == "", "none inside: "+found.Capabilities),
		pass("no_new_privs", found.NoNewPrivs == "1", found.NoNewPrivs),
		pass("seccomp", found.Seccomp == "2", "mode "+found.Seccomp+" (2 is a filter)"),
		pass("network", found.Network == "errno 13", "socket() fails with "+found.Network),
		pass("pid namespace", found.PID == 2, fmt.Sprintf("the script is pid %d", found.PID)),
		python("python", fmt.Sprintf("%s, numpy %s, pandas %s",
			found.Python, orMissing(found.Numpy), orMissing(found.Pandas))),
		host.OK("sandbox", fmt.Sprintf("a trial script ran in %.0f ms", usage.RunMS)),
	}
}

func orMissing(version string) string {
	if version == "" {
		return "missing"
	}
	return version
}
