package worker

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

// catalogTTL is how long the descriptions of environments are kept that a worker reads for hints: scripts that fail in
// a loop must not ask Redis each time.
const catalogTTL = 30 * time.Second

// catalogTimeout bounds that read: a hint is not worth more.
const catalogTimeout = time.Second

// catalog has the environments of all workers, for hints. The zero value is ready to use.
type catalog struct {
	mu           sync.Mutex
	environments []jobs.Environment
	readAt       time.Time
}

// missingModule finds the name of a module in the message of an exception: Python's own, or that of pandas. The message
// is the runner's word, and so a script's.
var missingModule = regexp.MustCompile(
	`^(?:ModuleNotFoundError: No module named '([A-Za-z_][A-Za-z0-9_]{0,63})(?:\.[A-Za-z0-9_.]{0,200})?'` +
		`|ImportError: .{0,200}Missing optional dependency '([A-Za-z_][A-Za-z0-9_]{0,63})')`)

// hintAtEnvironments adds to the hint of a failure which environments have the module that the script lacked.
func (w *Worker) hintAtEnvironments(job jobs.Job, failure *jobs.Failure) {
	if failure == nil || failure.Code != jobs.CodeException {
		return
	}
	found := missingModule.FindStringSubmatch(failure.Message)
	if found == nil {
		return
	}
	var names []string
	for _, environment := range w.readCatalog() {
		if environment.Name != job.EnvironmentOf() && hasModule(environment, found[1]+found[2]) {
			names = append(names, environment.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, jobs.CompareEnvironments)
	names = slices.Compact(names)
	hint := "available in the environment " + names[0]
	if len(names) > 1 {
		hint = "available in the environments " + strings.Join(names, ", ")
	}
	if failure.Hint != "" {
		hint += "; " + failure.Hint
	}
	failure.Hint = hint
}

func hasModule(environment jobs.Environment, module string) bool {
	return slices.ContainsFunc(environment.Packages, func(p jobs.Package) bool {
		return slices.Contains(p.Imports, module)
	})
}

// readCatalog returns the environments of all workers; none if Redis does not answer in time.
func (w *Worker) readCatalog() []jobs.Environment {
	w.catalog.mu.Lock()
	defer w.catalog.mu.Unlock()
	if time.Since(w.catalog.readAt) < catalogTTL {
		return w.catalog.environments
	}
	ctx, cancel := context.WithTimeout(w.storeCtx, catalogTimeout)
	defer cancel()
	environments, err := w.Store.Environments(ctx)
	if err != nil {
		w.Logger.Warn("environments not read for a hint", "error", err)
	}
	w.catalog.environments, w.catalog.readAt = environments, time.Now()
	return environments
}
