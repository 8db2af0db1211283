// Package sizing holds docs/sizing.md to its own formulas: the table of its examples is computed here.
package sizing

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// The constants of docs/sizing.md, in seconds of processor time, bytes and megabytes.
const (
	plainCPU, pandasCPU = 0.011, 0.016   // of a job, besides its script
	redisJobCPU         = 0.0006         // of Redis, for a job
	redisWorkerCPU      = 0.00006        // of Redis, for a second of an idle worker
	apiJobCPU           = 0.0015         // of the API, for a job
	busyPart            = 0.7            // of a processor that may be in use
	slotReserve         = 1.5            // slots for each job that runs at a time
	workerMB, readyMB   = 237.0, 1.3     // a worker, and a sandbox that waits
	recordKB            = 4.0            // of Redis's memory, for an ended job
	connectionsMB       = 0.1            // of Redis's memory, for a worker
	jobKB, workerKB     = 6.0, 0.25      // over the network of Redis, for a job, and a second of a worker
	connections         = 10             // to Redis, for a worker and for an API process
	kilo, mega          = 1000.0, 1000.0 // KB in a MB, MB in a GB
)

// need is what a service has to do.
type need struct {
	name                   string
	perSecond              float64
	wall, cpu, overhead    float64 // seconds of a script; overhead is plainCPU or pandasCPU
	memoryMB               float64 // of a running script
	answerKB, keptSeconds  float64 // of a job's result and output, and how long its record is kept
	fileMB, keptFileSecond float64 // of a job's files
	cores                  float64 // of a machine for workers
}

// plan is what that takes.
type plan struct {
	slots, cores, machines, slotsOfMachine, machineMB float64
	apiCores, redisCores, redisMB, redisMBPerSecond   float64
	redisConnections, bucketGB, bucketPuts            float64
}

// plan is the formulas of docs/sizing.md, with a worker on each machine, and one machine more than needed if there are
// several.
func (n need) plan() plan {
	var p plan
	p.slots = max(2, math.Ceil(slotReserve*n.perSecond*(n.wall+n.overhead)))
	p.cores = math.Ceil(n.perSecond * (n.cpu + n.overhead) / busyPart)
	p.machines = math.Ceil(p.cores / n.cores)
	p.slotsOfMachine = math.Ceil(p.slots / p.machines)
	if p.machines > 1 {
		p.machines++
	}
	p.machineMB = workerMB + p.slotsOfMachine*(2*readyMB+n.memoryMB)
	p.apiCores = n.perSecond * apiJobCPU / busyPart
	p.redisCores = n.perSecond*redisJobCPU + p.machines*redisWorkerCPU
	p.redisMB = 10 + p.machines*connectionsMB + n.perSecond*n.keptSeconds*(recordKB+n.answerKB)/kilo
	p.redisMBPerSecond = (n.perSecond*(jobKB+2*n.answerKB) + p.machines*workerKB) / kilo
	p.redisConnections = connections * (p.machines + 2)
	p.bucketGB = n.perSecond * n.fileMB * n.keptFileSecond / mega
	if n.fileMB > 0 {
		p.bucketPuts = n.perSecond
	}
	return p
}

var examples = []need{
	{
		name: "one machine", perSecond: 2, wall: 0.1, cpu: 0.1, overhead: plainCPU, memoryMB: 50, answerKB: 1,
		keptSeconds: 3600, cores: 2,
	},
	{
		name: "back end", perSecond: 50, wall: 0.3, cpu: 0.3, overhead: pandasCPU, memoryMB: 100, answerKB: 5,
		keptSeconds: 600, cores: 8,
	},
	{
		name: "fleet", perSecond: 696, wall: 5, cpu: 4, overhead: pandasCPU, memoryMB: 400, answerKB: 5,
		keptSeconds: 600, fileMB: 0.1, keptFileSecond: 3600, cores: 4,
	},
}

// rows returns the lines of the table.
func rows() []string {
	lines := []struct {
		name, format string
		of           func(plan) float64
	}{
		{"slots", "%.0f", func(p plan) float64 { return p.slots }},
		{"cores for workers", "%.0f", func(p plan) float64 { return p.cores }},
		{"machines, one of them spare if several", "%.0f", func(p plan) float64 { return p.machines }},
		{"`WORKER_CONCURRENCY` of each", "%.0f", func(p plan) float64 { return p.slotsOfMachine }},
		{"memory of each, GB", "%.1f", func(p plan) float64 { return p.machineMB / mega }},
		{"cores for the API", "%.2f", func(p plan) float64 { return p.apiCores }},
		{"Redis: of a core", "%.3f", func(p plan) float64 { return p.redisCores }},
		{"Redis: data, MB (`maxmemory` twice that)", "%.0f", func(p plan) float64 { return p.redisMB }},
		{"Redis: network, MB a second", "%.2f", func(p plan) float64 { return p.redisMBPerSecond }},
		{"Redis: connections", "%.0f", func(p plan) float64 { return p.redisConnections }},
		{"bucket: GB", "%.0f", func(p plan) float64 { return p.bucketGB }},
		{"bucket: files stored a second", "%.0f", func(p plan) float64 { return p.bucketPuts }},
	}
	var all []string
	for _, line := range lines {
		row := "| " + line.name
		for _, example := range examples {
			row += " | " + fmt.Sprintf(line.format, line.of(example.plan()))
		}
		all = append(all, row+" |")
	}
	return all
}

func TestTheExamplesAreComputed(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/sizing.md")
	if err != nil {
		t.Fatal(err)
	}
	wrong := false
	for _, row := range rows() {
		wrong = wrong || strings.Count(string(content), row+"\n") != 1 // the formulas have rows of the same names
	}
	if wrong {
		t.Errorf("docs/sizing.md does not have each row of this table once:\n%s", strings.Join(rows(), "\n"))
	}
}
