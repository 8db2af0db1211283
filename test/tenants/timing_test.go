package tenants

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// pairs is how many times each of two ids is requested, in turn, and longest for how long on a busy machine.
const (
	pairs   = 250
	longest = 8 * time.Second
)

func timingAttempts() (all []attempt) {
	for name, of := range map[string]func() (request, string){
		"timing/get_large_job": func() (request, string) {
			return request{method: "GET", path: "/jobs/{id}"}, world.owned.large
		},
		"timing/job_with_many_files": func() (request, string) {
			return request{method: "GET", path: "/jobs/{id}/files/large"}, world.owned.many
		},
		"timing/batch_results": func() (request, string) {
			return request{method: "GET", path: "/batches/{id}/results"}, world.owned.batch
		},
		"timing/stored_file": func() (request, string) {
			return request{method: "GET", path: "/files/{id}"}, world.owned.largeFile
		},
	} {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			r, id := of()
			return compareTimes(t, as, r, id)
		}})
	}
	return all
}

// compareTimes requests a foreign and an unknown id in turn, and compares the times. It returns a difference that is
// clear: by the medians and by the ranks, which a busy machine shifts for both in the same way.
func compareTimes(t *testing.T, as *actor, r request, id string) string {
	quiet := &actor{key: as.key, url: as.url, client: as.client} // notes nothing, which would take time
	foreign, unknown := make([]time.Duration, 0, pairs), make([]time.Duration, 0, pairs)
	one, other := r.withID(id), r.withID(unlike(id))
	for began := time.Now(); len(foreign) < pairs && (len(foreign) < 50 || time.Since(began) < longest); {
		// Not always in the same order: the second may profit from the first.
		if rand.IntN(2) == 0 {
			foreign = append(foreign, quiet.send(one).took)
			unknown = append(unknown, quiet.send(other).took)
		} else {
			unknown = append(unknown, quiet.send(other).took)
			foreign = append(foreign, quiet.send(one).took)
		}
	}
	z := rankTest(foreign, unknown)
	ratio := float64(median(foreign)) / float64(median(unknown))
	report := fmt.Sprintf("median %s for the foreign id, %s for an unknown one (%.2f), z = %.1f",
		median(foreign), median(unknown), ratio, z)
	t.Log(report)
	// By chance |z| exceeds 5 once in two million comparisons.
	if math.Abs(z) > 5 && math.Abs(ratio-1) > 0.1 {
		return report
	}
	return ""
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// rankTest returns the z of the test by Mann and Whitney: how far the ranks of a are above what is expected if both
// are alike, in standard deviations.
func rankTest(a, b []time.Duration) float64 {
	above := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				above++
			case x == y:
				above += 0.5
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	return (above - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
}
