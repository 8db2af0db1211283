package httpapi

import (
	"context"
	"net/http"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Environments knows the environments.
type Environments interface {
	// Environments returns those that workers have or had lately, the default first. Errors: CodeUnavailable.
	Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error)
}

// ListEnvironments handles GET /environments.
func (h *Handler) ListEnvironments(w http.ResponseWriter, r *http.Request) {
	environments, err := h.environments.Environments(r.Context())
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	body := api.EnvironmentList{Environments: make([]api.Environment, len(environments))}
	for i, environment := range environments {
		body.Environments[i] = environmentBody(environment)
	}
	h.writeJSON(w, r, http.StatusOK, body)
}

func environmentBody(environment jobs.EnvironmentStatus) api.Environment {
	body := api.Environment{
		Name: environment.Name, Description: environment.Description, Python: environment.Python,
		Packages: make([]api.EnvironmentPackage, len(environment.Packages)), Workers: environment.Workers,
		Hashes: append([]string{}, environment.Hashes...),
		Limits: limitsBody(environment.Limits), MaxLimits: limitsBody(environment.MaxLimits),
	}
	for i, p := range environment.Packages {
		body.Packages[i] = api.EnvironmentPackage{Name: p.Name, Version: p.Version}
	}
	return body
}

// limitsBody returns limits as responses encode them, nil unless all are known.
func limitsBody(l jobs.RequestedLimits) *api.JobLimits {
	if l.Wall <= 0 || l.CPU <= 0 || l.MemoryBytes <= 0 || l.Processes <= 0 || l.OutputBytes <= 0 {
		return nil
	}
	const mib = 1 << 20
	return &api.JobLimits{
		WallSeconds: l.Wall.Seconds(), CPUSeconds: l.CPU.Seconds(), MemoryMb: float64(l.MemoryBytes) / mib,
		Processes: l.Processes, OutputBytes: l.OutputBytes,
	}
}

// withoutWorkers returns the names of the environments that no worker has. It is only a hint: if they cannot be read,
// there are none.
func (h *Handler) withoutWorkers(ctx context.Context) []string {
	environments, err := h.environments.Environments(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, environment := range environments {
		if environment.Workers == 0 && environment.Name != jobs.DefaultEnvironment {
			names = append(names, environment.Name)
		}
	}
	return names
}
