package nsjail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/internal/environment"
	"cellblock/internal/environment/environmenttest"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandboxtest"
)

// environmentsDir returns an empty folder that sandboxes may see.
func environmentsDir(t *testing.T) string {
	t.Helper()
	sandboxtest.NeedsNsjail(t)
	dir, err := os.MkdirTemp("/var/tmp", "cellblock-environments-") //nolint:usetesting // not below /tmp
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func makeEnvironment(t *testing.T, dir string, spec environmenttest.Spec) {
	t.Helper()
	if _, err := environmenttest.Make(dir, "/usr/bin/python3", spec); err != nil {
		t.Fatal(err)
	}
}

// openEnvironments opens the environments in a folder, with sandboxes of a kind.
func openEnvironments(t *testing.T, kind, dir string, change func(*Settings)) *Environments {
	t.Helper()
	settings := sandboxtest.Defaults[Settings](t)
	settings.Sandbox, settings.EnvironmentsDir = kind, dir
	settings.Zygote.Preload, settings.Zygote.PreloadOnDemand = nil, nil
	if change != nil {
		change(&settings)
	}
	h := openHost(t, settings)
	provider, err := NewProvider(t.Context(), h, settings, 2, sandboxtest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	environments := OpenEnvironments(t.Context(), h, settings, provider, 2, sandboxtest.Logger(t))
	t.Cleanup(environments.Close)
	return environments
}

func runIn(t *testing.T, e *Environments, name, script string) jobs.Outcome {
	t.Helper()
	sandbox, err := e.Acquire(t.Context(), name, script)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Run(t.Context(), script, jobs.EntryMain, nil)
}

func wantResult(t *testing.T, what string, outcome jobs.Outcome, want string) {
	t.Helper()
	if outcome.Failure != nil || string(outcome.Result) != want {
		t.Errorf("%s: got %s, %+v, want %s", what, outcome.Result, outcome.Failure, want)
	}
}

func (e *Environments) isWarm(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, running := e.open[name].sandboxes.IdleFor()
	return running
}

func awaitWarm(t *testing.T, e *Environments, name string, want bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); e.isWarm(name) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: a zygote runs: %v, want %v", name, !want, want)
		}
	}
}

// lookAround lists what a script sees of environments, and tries to change its own.
const lookAround = `
import glob, os, sys
def main():
    changed = []
    for path in (sys.prefix, sys.prefix + "/environment.json", *glob.glob(sys.prefix + "/lib/*/site-packages/*")):
        try:
            if os.path.isdir(path):
                open(path + "/x", "w").close()
            else:
                open(path, "a").close()
            changed.append(path)
        except OSError:
            pass
        try:
            os.rename(path, path + ".moved")
            changed.append(path)
        except OSError:
            pass
    parent = os.path.dirname(sys.prefix)
    return [sorted(os.listdir(parent)), changed, os.path.exists("/opt/cellblock/lib"), os.getuid() != 0]
`

func TestEachEnvironmentSeesItsOwnPackagesOnly(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{KindWarm, KindCold} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := environmentsDir(t)
			makeEnvironment(t, dir, environmenttest.Spec{
				Name: "one", Modules: map[string]string{"greet": "def greet():\n    return 'hello from one'\n"},
				Preload: []string{"greet"},
			})
			makeEnvironment(t, dir, environmenttest.Spec{Name: "two", Modules: map[string]string{"other": "x = 2\n"}})
			e := openEnvironments(t, kind, dir, nil)
			const script = "import greet\ndef main():\n    return greet.greet()\n"
			check := func(what string) {
				wantResult(t, what, runIn(t, e, "one", script), `"hello from one"`)
				for _, name := range []string{"", "two"} {
					if f := runIn(t, e, name, script).Failure; f == nil || f.Code != jobs.CodeException {
						t.Errorf("%s: %q has the packages of another: %+v", what, name, f)
					}
				}
				wantResult(t, what, runIn(t, e, "one", lookAround), `[["one"],[],false,true]`)
			}
			check("first") // cold ones, of which the first starts the zygotes
			if kind == KindWarm {
				awaitWarm(t, e, "one", true)
				awaitWarm(t, e, "two", true)
				check("warm")
			}
			if _, err := e.Acquire(t.Context(), "three", script); err == nil {
				t.Error("a sandbox of an environment that there is not")
			}
		})
	}
}

// The folder of the environments cannot lie in what each sandbox of the default sees.
func TestEnvironmentsInThePrefixAreRefused(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedsNsjail(t)
	settings := sandboxtest.Defaults[Settings](t)
	for _, dir := range []string{environment.DefaultPrefix(), environment.DefaultPrefix() + "/environments"} {
		settings.EnvironmentsDir = dir
		h, err := Open(t.Context(), settings)
		if err == nil || !strings.Contains(err.Error(), "would see every environment") {
			t.Errorf("%s: %v", dir, err)
		}
		if err == nil {
			_ = h.Close()
		}
	}
}

func awaitChange(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatal("a change went unnoticed")
	}
}

// A new version replaces the one before, in which jobs that run go on; one that is removed is gone.
func TestEnvironmentsAreFollowed(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	e := openEnvironments(t, KindWarm, dir, nil)
	current, changed := e.List()
	if len(current) != 1 || current[0].Name != jobs.DefaultEnvironment || len(current[0].Packages) == 0 ||
		current[0].Hash == "" || !strings.HasPrefix(current[0].Python, "3.") {
		t.Fatalf("got %+v", current)
	}
	module := func(version string) environmenttest.Spec {
		return environmenttest.Spec{Name: "one", Modules: map[string]string{"greet": "version = " + version + "\n"}}
	}
	makeEnvironment(t, dir, module("1"))
	awaitChange(t, changed)
	const script = "import greet, time\ndef main():\n    time.sleep(3)\n    return greet.version\n"
	current, changed = e.List()
	if len(current) != 2 || current[1].Name != "one" || current[1].Packages[0].Name != "greet" {
		t.Fatalf("got %+v", current)
	}
	runIn(t, e, "one", "def main(): pass")
	awaitWarm(t, e, "one", true)
	running, err := e.Acquire(t.Context(), "one", script)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan jobs.Outcome, 1)
	go func() { ended <- running.Run(t.Context(), script, jobs.EntryMain, nil) }()
	makeEnvironment(t, dir, module("2"))
	awaitChange(t, changed)
	_, changed = e.List()
	wantResult(t, "the new version", runIn(t, e, "one", script), "2")
	wantResult(t, "the job that ran in the one before", <-ended, "1")
	if err := os.Remove(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	awaitChange(t, changed)
	if current, _ = e.List(); len(current) != 1 {
		t.Errorf("got %+v", current)
	}
	if _, err := e.Acquire(t.Context(), "one", script); err == nil {
		t.Error("a sandbox of an environment that was removed")
	}
}

func TestIdleZygotesOfEnvironmentsEnd(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	makeEnvironment(t, dir, environmenttest.Spec{Name: "one"})
	makeEnvironment(t, dir, environmenttest.Spec{Name: "two"})
	makeEnvironment(t, dir, environmenttest.Spec{Name: "always", Start: "always"})
	e := openEnvironments(t, KindWarm, dir, func(s *Settings) { s.ZygoteIdle = 3 * time.Second })
	awaitWarm(t, e, "always", true)
	if e.isWarm("one") || e.isWarm("two") {
		t.Error("a zygote that nothing asked for")
	}
	runIn(t, e, "one", "def main(): pass")
	awaitWarm(t, e, "one", true)
	awaitWarm(t, e, "one", false)
	if !e.isWarm("always") {
		t.Error("the zygote that is to stay is gone")
	}
}

func TestZygotesStayWithinTheirBudget(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	for _, name := range []string{"one", "two"} {
		makeEnvironment(t, dir, environmenttest.Spec{
			Name: name, Modules: map[string]string{"large": "x = b'x' * (24 << 20)\n"}, Preload: []string{"large"},
		})
	}
	e := openEnvironments(t, KindWarm, dir, func(s *Settings) { s.ZygoteBudgetMB, s.ZygoteMinAge = 40, time.Second })
	runIn(t, e, "one", "def main(): pass")
	awaitWarm(t, e, "one", true)
	runIn(t, e, "two", "def main(): pass")
	awaitWarm(t, e, "two", true)
	awaitWarm(t, e, "one", false)
	if !e.isWarm("two") {
		t.Error("the zygote that was used last is gone")
	}
}

// The budget ends neither a young zygote, which would be started again for the next job, nor one that is to stay.
func TestZygotesThatTheBudgetSpares(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	large := environmenttest.Spec{
		Modules: map[string]string{"large": "x = b'x' * (24 << 20)\n"}, Preload: []string{"large"},
	}
	for name, start := range map[string]string{"one": "", "always": "always"} {
		large.Name, large.Start = name, start
		makeEnvironment(t, dir, large)
	}
	young := openEnvironments(t, KindWarm, dir, func(s *Settings) { s.ZygoteBudgetMB = 40 })
	old := openEnvironments(t, KindWarm, dir, func(s *Settings) { s.ZygoteBudgetMB, s.ZygoteMinAge = 40, time.Second })
	for _, e := range []*Environments{young, old} {
		awaitWarm(t, e, "always", true)
		runIn(t, e, "one", "def main(): pass")
		awaitWarm(t, e, "one", true)
	}
	awaitWarm(t, old, "one", false) // used after the other
	if !old.isWarm("always") {
		t.Error("the zygote that is to stay is gone")
	}
	if !young.isWarm("one") || !young.isWarm("always") {
		t.Error("a young zygote is gone")
	}
}

// A zygote that is to run always is started again if its start failed.
func TestFailedStartIsRepeated(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	makeEnvironment(t, dir, environmenttest.Spec{Name: "always", Start: "always"})
	e := openEnvironments(t, KindWarm, dir, nil)
	awaitWarm(t, e, "always", true)
	e.mu.Lock()
	e.open["always"].sandboxes.Drop() // as one whose start failed
	e.mu.Unlock()
	awaitWarm(t, e, "always", true)
}

// What cannot be opened or read for a moment is opened later, and what is open stays so.
func TestPassingErrorsOfEnvironments(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	makeEnvironment(t, dir, environmenttest.Spec{Name: "open"})
	makeEnvironment(t, dir, environmenttest.Spec{Name: "closed"})
	python := filepath.Join(present(t, dir, "closed"), "bin", "python3")
	manifest := filepath.Join(present(t, dir, "open"), environment.ManifestFile)
	whole, err := os.ReadFile(manifest)
	if err == nil {
		err = os.Rename(python, python+".away")
	}
	if err != nil {
		t.Fatal(err)
	}
	e := openEnvironments(t, KindCold, dir, func(s *Settings) { s.EnvironmentsRetry = 100 * time.Millisecond })
	_, changed := e.List()
	if err := os.Rename(python+".away", python); err != nil {
		t.Fatal(err)
	}
	awaitChange(t, changed)
	if err := os.WriteFile(manifest, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, changed = e.List()
	makeEnvironment(t, dir, environmenttest.Spec{Name: "new"})
	awaitChange(t, changed)
	for _, name := range []string{"open", "closed", "new"} {
		wantResult(t, name, runIn(t, e, name, "def main(): return 1"), "1")
	}
	if err := os.WriteFile(manifest, whole, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A version is offered while the next one cannot be used, until its folder is removed.
func TestVersionBeforeABrokenOne(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	makeEnvironment(t, dir, environmenttest.Spec{Name: "one"})
	e := openEnvironments(t, KindCold, dir, nil)
	before := present(t, dir, "one")
	manifest, err := environment.Load(before)
	if err != nil {
		t.Fatal(err)
	}
	broken, link := filepath.Join(dir, ".one-000000000002"), filepath.Join(dir, "one")
	manifest.Hash = strings.Repeat("0", 64)
	if err := errors.Join(os.Mkdir(broken, 0o755), manifest.Save(broken)); err != nil {
		t.Fatal(err)
	}
	_, changed := e.List()
	if err := errors.Join(os.Symlink(broken, link+".new"), os.Rename(link+".new", link)); err != nil {
		t.Fatal(err)
	}
	makeEnvironment(t, dir, environmenttest.Spec{Name: "two"}) // once this is there, the broken one was seen
	awaitChange(t, changed)
	wantResult(t, "the version before", runIn(t, e, "one", "def main(): return 1"), "1")
	_, changed = e.List()
	if err := os.RemoveAll(before); err != nil {
		t.Fatal(err)
	}
	awaitChange(t, changed)
	if _, err := e.Acquire(t.Context(), "one", ""); err == nil {
		t.Error("a sandbox of a version that is gone")
	}
}

// present returns the folder of the present version.
func present(t *testing.T, dir, name string) string {
	t.Helper()
	found, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// An exercise that fails does not keep the zygote from serving.
func TestExercisesRunInTheZygote(t *testing.T) {
	t.Parallel()
	dir := environmentsDir(t)
	makeEnvironment(t, dir, environmenttest.Spec{
		Name: "one", Modules: map[string]string{"state": "ran = []\n"}, Preload: []string{"state"},
		Exercises: []string{
			"import state\ndef main():\n    state.ran.append('first')\n", "import nothing\ndef main(): pass\n",
			"def main():\n    raise SystemExit(3)\n", "import state\ndef main():\n    state.ran.append('last')\n",
		},
	})
	e := openEnvironments(t, KindWarm, dir, nil)
	runIn(t, e, "one", "def main(): pass")
	awaitWarm(t, e, "one", true)
	wantResult(t, "state", runIn(t, e, "one", "import state\ndef main():\n    return state.ran\n"), `["first","last"]`)
}
