package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Report is what a worker reports of itself, besides what it takes.
type Report struct {
	Version string
	// StartedAt is when the process started, by its own clock.
	StartedAt time.Time
	// Places is how many jobs it runs at once.
	Places int
	// Ready is how many sandboxes wait for a job, by environment. One that is missing is not known.
	Ready map[string]int
}

// storedReport is the stored form of a Report. A worker of another version may store more, or less.
type storedReport struct {
	Version   string         `json:"version,omitzero"`
	StartedAt int64          `json:"started_at,omitzero"` // microseconds since 1970
	Places    int            `json:"places,omitzero"`
	Ready     map[string]int `json:"ready,omitzero"`
	// TTL is that of each heartbeat, in milliseconds.
	TTL int64 `json:"ttl,omitzero"`
}

func toStoredReport(report *Report, ttl time.Duration) *storedReport {
	if report == nil {
		return nil
	}
	return &storedReport{
		Version: report.Version, StartedAt: report.StartedAt.UnixMicro(), Places: report.Places, Ready: report.Ready,
		TTL: ttl.Milliseconds(),
	}
}

// defaultTTL is the TTL of the heartbeats of workers that do not report theirs.
const defaultTTL = 4 * time.Second

// workersScript lists the live workers, also those that are draining.
//
//	KEYS[1]  cellblock:workers
//	KEYS[2]  {cellblock:workers}:held
//	KEYS[3]  {cellblock:workers}:draining
//	KEYS[4]  {cellblock:workers}:limits
//	returns  for each worker: owner, when its heartbeat expires (milliseconds since 1970), the number of its jobs, 1
//	         if it is draining, else 0, and what it takes, as storedOffer, "" if it has registered nothing
var workersScript = redis.NewScript(liveFunction + offersFunction + `
local offers, held, answer = by_owner(KEYS[4]), by_owner(KEYS[2]), {}
live(KEYS[1], KEYS[2], KEYS[3], function(owner, drains, expiry)
	local _, busy = string.gsub(held[owner] or "", "%S+", "")
	for _, value in ipairs({owner, expiry, tostring(busy), drains and "1" or "0", offers[owner] or ""}) do
		table.insert(answer, value)
	end
end)
return answer`)

// ListWorkers returns the live workers, ordered by host and id.
func (s *Store) ListWorkers(ctx context.Context) ([]jobs.WorkerStatus, error) {
	const fields = 5 // as in workersScript
	keys := []string{workersKey, heldKey, drainingKey, offersKey}
	reply, err := workersScript.Run(ctx, s.parts.Home(), keys).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	workers := make([]jobs.WorkerStatus, 0, len(reply)/fields)
	for values := range slices.Chunk(reply, fields) {
		worker := jobs.WorkerStatus{
			ID: values[0], Host: hostOf(values[0]), Busy: int(parseInt(values[2])), Draining: values[3] == "1",
		}
		// What a worker of a later version stores may not be decoded; it is listed all the same.
		offer, ttl, _ := decodeReport(values[4])
		worker.LastSeenAt = time.UnixMilli(parseInt(values[1])).Add(-ttl).UTC()
		if report := offer.Report; report != nil {
			worker.Version, worker.Places, worker.StartedAt = report.Version, report.Places, report.StartedAt
		}
		worker.Environments = offer.list()
		workers = append(workers, worker)
	}
	slices.SortFunc(workers, func(a, b jobs.WorkerStatus) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.ID, b.ID))
	})
	return workers, nil
}

// hostOf returns the host in the name of a worker, which is before the last slash.
func hostOf(owner string) string {
	if i := strings.LastIndexByte(owner, '/'); i >= 0 {
		return owner[:i]
	}
	return owner
}

// list returns the environments of a worker, the default first.
func (o Offer) list() []jobs.WorkerEnvironment {
	all := make([]jobs.WorkerEnvironment, 0, len(o.Environments))
	for name, hash := range o.Environments {
		if !jobs.IsEnvironmentName(name) {
			continue
		}
		environment := jobs.WorkerEnvironment{Name: name, Hash: hash}
		if o.Report != nil {
			if ready, known := o.Report.Ready[name]; known {
				environment.Ready = new(max(0, ready))
			}
		}
		all = append(all, environment)
	}
	slices.SortFunc(all, func(a, b jobs.WorkerEnvironment) int { return jobs.CompareEnvironments(a.Name, b.Name) })
	return all
}
