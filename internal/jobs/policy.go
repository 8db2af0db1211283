package jobs

import (
	"fmt"
	"math"
	"slices"
)

// Requestable returns the limits that a request can lower.
func (l Limits) Requestable() RequestedLimits {
	return RequestedLimits{
		Wall: l.Wall, CPU: l.CPU, MemoryBytes: l.MemoryBytes, Processes: l.Processes,
		OutputBytes: l.OutputBytes,
	}
}

// Within reports whether no limit exceeds that of most. 0 means unset: in l it is within everything, and in most it
// allows everything.
func (l RequestedLimits) Within(most RequestedLimits) bool {
	return within(l.Wall, most.Wall) && within(l.CPU, most.CPU) && within(l.MemoryBytes, most.MemoryBytes) &&
		within(l.Processes, most.Processes) && within(l.OutputBytes, most.OutputBytes)
}

func within[T ~int | ~int64](limit, most T) bool { return limit == 0 || most == 0 || limit <= most }

// Below returns the limits that are below those of most, and 0 for the others, which a sandbox created with the limits
// of most enforces already.
func (l RequestedLimits) Below(most RequestedLimits) RequestedLimits {
	return RequestedLimits{
		Wall: below(l.Wall, most.Wall), CPU: below(l.CPU, most.CPU),
		MemoryBytes: below(l.MemoryBytes, most.MemoryBytes),
		Processes:   below(l.Processes, most.Processes), OutputBytes: below(l.OutputBytes, most.OutputBytes),
	}
}

func below[T ~int | ~int64](limit, most T) T {
	if most != 0 && limit >= most {
		return 0
	}
	return limit
}

// LowerOf returns the lower one of each limit. 0 means unset: then it is that of the other.
func (l RequestedLimits) LowerOf(other RequestedLimits) RequestedLimits {
	return RequestedLimits{
		Wall: lowerOf(l.Wall, other.Wall), CPU: lowerOf(l.CPU, other.CPU),
		MemoryBytes: lowerOf(l.MemoryBytes, other.MemoryBytes),
		Processes:   lowerOf(l.Processes, other.Processes), OutputBytes: lowerOf(l.OutputBytes, other.OutputBytes),
	}
}

func lowerOf[T ~int | ~int64](a, b T) T {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// HighestLimits returns the most that a request may ask for, of each limit by itself, as DecideLimits decides. fleet
// must not be empty.
func HighestLimits(server Limits, fleet []RequestedLimits) (highest RequestedLimits) {
	for _, most := range fleet {
		allowed := server.CappedBy(most)
		highest = RequestedLimits{
			Wall: max(highest.Wall, allowed.Wall), CPU: max(highest.CPU, allowed.CPU),
			MemoryBytes: max(highest.MemoryBytes, allowed.MemoryBytes),
			Processes:   max(highest.Processes, allowed.Processes),
			OutputBytes: max(highest.OutputBytes, allowed.OutputBytes),
		}
	}
	return highest
}

// WithLimits returns a copy of the inputs with limits instead of those that were requested. in may be nil.
func (in *Inputs) WithLimits(limits RequestedLimits) *Inputs {
	if in == nil && limits == (RequestedLimits{}) {
		return nil
	}
	var with Inputs
	if in != nil {
		with = *in
	}
	with.Limits = limits
	return &with
}

// unlimited exceeds every limit that can be requested.
var unlimited = Limits{
	Wall: math.MaxInt64, CPU: math.MaxInt64, MemoryBytes: math.MaxInt64, Processes: math.MaxInt,
	OutputBytes: math.MaxInt64,
}

// DecideLimits returns a job's limits: those that its request asks for, and otherwise the server's. fleet are the
// maximum limits of the workers that take jobs, zero for unknown ones. If a worker allows the requested limits but not
// the server's other limits, these are lowered to its maximum for good. With an empty fleet only the server's limits
// count. It returns an error with CodeInvalidRequest if no worker allows the requested limits.
func DecideLimits(server Limits, requested RequestedLimits, fleet []RequestedLimits) (RequestedLimits, error) {
	want := server.CappedBy(requested).Requestable()
	var largest *RequestedLimits
	for i, most := range fleet {
		if want.Within(most) {
			return want, nil
		}
		if requested.Within(most) && (largest == nil || most.MemoryBytes > largest.MemoryBytes) {
			largest = &fleet[i]
		}
	}
	switch {
	case len(fleet) == 0:
		return want, nil
	case largest != nil:
		return server.CappedBy(*largest).CappedBy(requested).Requestable(), nil
	}
	return RequestedLimits{}, noWorkerAllows(requested, fleet)
}

func noWorkerAllows(requested RequestedLimits, fleet []RequestedLimits) error {
	if name, got, highest := aboveAll(requested, fleet); name != "" {
		return Errorf(CodeInvalidRequest, `"limits.%s" is %s, the workers that run now allow at most %s`,
			name, got, highest)
	}
	return Errorf(CodeInvalidRequest,
		`no worker that runs now allows all of the "limits" together; ask for less of one of them`)
}

// aboveAll returns the first limit that exceeds the maximum of every worker, its value and the highest maximum; "" if
// each limit is within the maximum of some worker.
func aboveAll(limits RequestedLimits, fleet []RequestedLimits) (name, got, highest string) {
	for _, name := range limitNames {
		get, most := requestable[name].get, 0.0
		for _, maxLimits := range fleet {
			most = max(most, get(unlimited.CappedBy(maxLimits)))
		}
		if got := get(unlimited.CappedBy(limits)); got != get(unlimited) && got > most {
			return name, plainNumber(got), plainNumber(most)
		}
	}
	return "", "", ""
}

// NotStartedMessage returns the message for a job with these limits that was not started by its start deadline, when
// the workers had the maximum limits of fleet.
func NotStartedMessage(limits RequestedLimits, fleet []RequestedLimits) string {
	if len(fleet) == 0 || slices.ContainsFunc(fleet, limits.Within) {
		return MessageNotStarted
	}
	why := "no worker allows all of the job's limits together"
	if name, got, highest := aboveAll(limits, fleet); name != "" {
		why = fmt.Sprintf("no worker allows %s %s, the highest maximum is %s", name, got, highest)
	}
	return why + "; the job was withdrawn at its start deadline and did not run"
}

// LimitsAt returns the limits of a job at a worker with these maximum limits, which must not run a job with higher
// ones.
func (j Job) LimitsAt(maxLimits RequestedLimits) RequestedLimits {
	if !j.LimitsOpen || !j.Inputs.RequestedLimits().Within(maxLimits) {
		return j.Limits
	}
	return unlimited.CappedBy(j.Limits).CappedBy(maxLimits).Requestable()
}
