package jobs

import (
	"testing"
	"time"
)

func TestLimitsAreDecidedAtAcceptance(t *testing.T) {
	t.Parallel()
	server := DefaultLimits()
	small, large := server.Requestable(), server.Requestable()
	small.MemoryBytes, small.Wall = 256*mib, 5*time.Second
	large.MemoryBytes, large.Wall = 512*mib, 5*time.Second
	long := RequestedLimits{Wall: time.Minute, MemoryBytes: 64 * mib}
	for name, c := range map[string]struct {
		asked  RequestedLimits
		fleet  []RequestedLimits
		memory int64 // 0: refused
		wall   time.Duration
		err    string
	}{
		"no worker yet": {memory: 700 * mib, wall: 15 * time.Second},
		"the same limits": {
			fleet: []RequestedLimits{small, server.Requestable()}, memory: 700 * mib,
			wall: 15 * time.Second,
		},
		"maximum limits are not known": {
			fleet: []RequestedLimits{small, {}}, memory: 700 * mib,
			wall: 15 * time.Second,
		},
		"lower ones": {
			fleet: []RequestedLimits{small, large}, memory: 512 * mib,
			wall: 5 * time.Second,
		},
		"asked within lower ones": {
			asked: RequestedLimits{MemoryBytes: 300 * mib},
			fleet: []RequestedLimits{small, large}, memory: 300 * mib, wall: 5 * time.Second,
		},
		"asked above all": {
			asked: RequestedLimits{MemoryBytes: 600 * mib},
			fleet: []RequestedLimits{small, large},
			err:   `"limits.memory_mb" is 600, the workers that run now allow at most 512`,
		},
		"asked above all, a time": {
			asked: RequestedLimits{Wall: 6 * time.Second}, fleet: []RequestedLimits{large},
			err: `"limits.wall_seconds" is 6, the workers that run now allow at most 5`,
		},
		"each by another, not both": {
			asked: RequestedLimits{Wall: 10 * time.Second, MemoryBytes: 400 * mib},
			fleet: []RequestedLimits{large, long},
			err:   `no worker that runs now allows all of the "limits" together; ask for less of one of them`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DecideLimits(server, c.asked, c.fleet)
			switch {
			case c.err != "" && (err == nil || AsError(err).Message != c.err || CodeOf(err) != CodeInvalidRequest):
				t.Errorf("got %+v, %v, want %s", got, err, c.err)
			case c.err == "" &&
				(err != nil || got.MemoryBytes != c.memory || got.Wall != c.wall || got.Processes != server.Processes):
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOnlyLimitsBelowTheSandboxsAreSet(t *testing.T) {
	t.Parallel()
	most := DefaultLimits().Requestable()
	if below := most.Below(most); below != (RequestedLimits{}) {
		t.Errorf("got %+v", below)
	}
	less := most
	less.CPU = time.Second
	if below := less.Below(most); below != (RequestedLimits{CPU: time.Second}) {
		t.Errorf("got %+v", below)
	}
	var none *Inputs
	if none.WithLimits(RequestedLimits{}) != nil || none.WithLimits(less).Limits != less {
		t.Error("limits of no inputs")
	}
}

// A job that was accepted while no worker's maximum limits were known gets those of its worker; the limits that its
// request asked for stay.
func TestOpenLimitsAreCappedByTheWorker(t *testing.T) {
	t.Parallel()
	maxLimits := DefaultLimits().Requestable()
	maxLimits.Wall, maxLimits.MemoryBytes = time.Second, 1024*mib
	job := Job{Limits: DefaultLimits().Requestable()}
	if got := job.LimitsAt(maxLimits); got != job.Limits || got.Within(maxLimits) {
		t.Errorf("decided ones: got %+v", got)
	}
	job.LimitsOpen = true
	want := job.Limits
	want.Wall = time.Second
	if got := job.LimitsAt(maxLimits); got != want || !got.Within(maxLimits) {
		t.Errorf("open ones: got %+v, want %+v", got, want)
	}
	job.Inputs = &Inputs{Limits: RequestedLimits{Wall: 2 * time.Second}}
	job.Limits.Wall = 2 * time.Second
	if got := job.LimitsAt(maxLimits); got.Within(maxLimits) {
		t.Errorf("what was asked for was lowered: %+v", got)
	}
}

func TestTheMessageOfAJobThatWasNotStartedNamesTheLimit(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits().Requestable()
	short, small := limits, limits
	short.Wall, small.MemoryBytes = 5*time.Second, 32*mib
	for want, fleet := range map[string][]RequestedLimits{
		MessageNotStarted: {short, limits},
		"no worker allows wall_seconds 15, the highest maximum is 5; " +
			"the job was withdrawn at its start deadline and did not run": {short},
		"no worker allows all of the job's limits together; " +
			"the job was withdrawn at its start deadline and did not run": {short, small},
	} {
		if got := NotStartedMessage(limits, fleet); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := NotStartedMessage(limits, nil); got != MessageNotStarted {
		t.Errorf("without workers: %q", got)
	}
}

func TestLowerOf(t *testing.T) {
	t.Parallel()
	all := DefaultLimits().Requestable()
	for _, tc := range []struct{ a, b, want RequestedLimits }{
		{RequestedLimits{}, RequestedLimits{}, RequestedLimits{}},
		{all, RequestedLimits{}, all},
		{
			RequestedLimits{Wall: 2, CPU: 1, MemoryBytes: 5},
			RequestedLimits{Wall: 1, CPU: 2, Processes: 7, OutputBytes: 9},
			RequestedLimits{Wall: 1, CPU: 1, MemoryBytes: 5, Processes: 7, OutputBytes: 9},
		},
	} {
		if got := tc.a.LowerOf(tc.b); got != tc.want {
			t.Errorf("of %+v and %+v: %+v", tc.a, tc.b, got)
		}
		if got := tc.b.LowerOf(tc.a); got != tc.want {
			t.Errorf("of %+v and %+v: %+v", tc.b, tc.a, got)
		}
	}
}

// Each of the highest limits can be asked for, and nothing above it.
func TestHighestLimits(t *testing.T) {
	t.Parallel()
	server := DefaultLimits()
	short, small, more := server.Requestable(), server.Requestable(), server.Requestable()
	short.Wall, small.MemoryBytes, more.MemoryBytes, more.Processes = time.Second, 64*mib, 4096*mib, 3
	fewer := server.Requestable()
	fewer.Processes = 3
	for name, tc := range map[string]struct {
		fleet []RequestedLimits
		want  RequestedLimits
	}{
		"one":            {[]RequestedLimits{small}, small},
		"complementary":  {[]RequestedLimits{short, small}, server.Requestable()},
		"more":           {[]RequestedLimits{more}, fewer},
		"without limits": {[]RequestedLimits{{}}, server.Requestable()},
	} {
		got := HighestLimits(server, tc.fleet)
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
		for _, asked := range []RequestedLimits{
			{Wall: got.Wall},
			{CPU: got.CPU},
			{MemoryBytes: got.MemoryBytes},
			{Processes: got.Processes},
			{OutputBytes: got.OutputBytes},
		} {
			if _, err := DecideLimits(server, asked, tc.fleet); err != nil {
				t.Errorf("%s: %+v is refused: %v", name, asked, err)
			}
		}
	}
}
