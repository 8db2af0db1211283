package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/pep723"
)

// rereadPause is the least time between two reads of the workers that requests cause.
const rereadPause = 200 * time.Millisecond

// chooseEnvironment returns what is known of the workers, and fleet.chooseEnvironment of it. It refuses a request only
// by what was read after the request came: a worker may just have started, or an environment have been built. bounds
// are those of the caller.
func (d *Dispatcher) chooseEnvironment(
	ctx context.Context, request jobs.Request, bounds jobs.TenantLimits,
) (*fleet, string, error) {
	known := d.fleet.Load()
	name, err := known.chooseEnvironment(request, bounds)
	guessed := request.Environment == "" && pep723.Has(request.Script) && known.isEmpty()
	refused := err != nil && jobs.CodeOf(err) != jobs.CodeInvalidRequest
	if !guessed && !refused {
		return known, name, err
	}
	asked := request.ReceivedAt
	if asked.IsZero() {
		asked = time.Now()
	}
	silent := known.isSilent() && time.Since(known.silent) < rereadPause
	if silent || known.triedAt().After(asked) {
		return known, name, err
	}
	timer := time.NewTimer(time.Until(known.triedAt().Add(rereadPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // of a client that has hung up
	}
	d.rereadFleet(ctx, known)
	known = d.fleet.Load()
	name, err = known.chooseEnvironment(request, bounds)
	return known, name, err
}

// chooseEnvironment returns the name of the environment of a request: the one that it names; else the first that
// satisfies the script's inline metadata, one with a live worker before one without; else the default. It returns a
// *jobs.Error with CodeUnknownEnvironment, CodeMissingPackages, with CodeInvalidRequest for metadata that cannot be
// read, or with CodeUnavailable while it is not known which environments there are. Those that bounds do not allow are
// not there.
func (f *fleet) chooseEnvironment(request jobs.Request, bounds jobs.TenantLimits) (string, error) {
	if request.Environment == jobs.DefaultEnvironment && bounds.AllowsEnvironment(jobs.DefaultEnvironment) {
		return jobs.DefaultEnvironment, nil
	}
	if request.Environment != "" {
		names := f.allowed(bounds)
		switch {
		case slices.Contains(names, request.Environment):
			return request.Environment, nil
		case f.isEmpty():
			return "", jobs.Unavailable(fmt.Sprintf(
				"no worker has reported its environments yet, so it is not known whether there is %q",
				request.Environment), nil)
		}
		return "", jobs.UnknownEnvironment(request.Environment, names)
	}
	metadata, err := pep723.Parse(request.Script)
	if err != nil {
		return "", jobs.Errorf(jobs.CodeInvalidRequest, "the script's block '# /// script' cannot be used: %v; "+
			`correct it, or remove it and name an "environment"`, err)
	}
	if metadata == nil || f.isEmpty() {
		if !bounds.AllowsEnvironment(jobs.DefaultEnvironment) {
			return "", jobs.NoDefaultEnvironment(bounds.Environments)
		}
		return jobs.DefaultEnvironment, nil
	}
	return f.satisfying(metadata, bounds)
}

// allowed returns those of the names that bounds allow.
func (f *fleet) allowed(bounds jobs.TenantLimits) []string {
	return slices.DeleteFunc(f.names(), func(name string) bool { return !bounds.AllowsEnvironment(name) })
}

// satisfying returns the first environment that has what the metadata asks for, of those that bounds allow.
func (f *fleet) satisfying(metadata *pep723.Metadata, bounds jobs.TenantLimits) (string, error) {
	without := ""
	var lacks []string
	for _, name := range f.allowed(bounds) {
		environment := f.environment(name)
		missing := metadata.Missing(installed(environment.Environment))
		switch {
		case environment.Python == "":
			lacks = append(lacks, fmt.Sprintf("no worker has reported the packages of %s lately", environment.Name))
		case len(missing) > 0:
			lacks = append(lacks, fmt.Sprintf("%s lacks %s", environment.Name, strings.Join(missing, ", ")))
		case environment.Workers > 0:
			return environment.Name, nil
		case without == "":
			without = environment.Name
		}
	}
	if without != "" {
		return without, nil
	}
	return "", jobs.Errorf(jobs.CodeMissingPackages, "no environment has what the script's block '# /// script' asks "+
		"for: %s", strings.Join(lacks, "; "))
}

// installed returns what an environment has, for a check of a script's metadata.
func installed(environment jobs.Environment) pep723.Installed {
	there := pep723.Installed{Python: environment.Python, Packages: map[string]string{}}
	for _, p := range environment.Packages {
		there.Packages[p.Name] = p.Version
	}
	return there
}
