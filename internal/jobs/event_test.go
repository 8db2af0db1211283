package jobs_test

import (
	"testing"

	"cellblock/internal/jobs"
)

func TestPositions(t *testing.T) {
	t.Parallel()
	for _, p := range []jobs.Position{
		{}, {State: jobs.StateQueued}, {State: jobs.StateRunning, Stdout: 120, Stderr: 7}, {
			State:  jobs.StateFailed,
			Stdout: 1 << 30,
		},
	} {
		got, err := jobs.ParsePosition(p.String())
		if err != nil || got.Stdout != p.Stdout || got.Stderr != p.Stderr || got.Ended() != p.Ended() ||
			!p.Ended() && got != p {
			t.Errorf("%+v became %q and then %+v, %v", p, p.String(), got, err)
		}
	}
	for _, s := range []string{
		"", "1", "1-2", "1-2-3-4", "4-0-0", "-1-0-0", "1--2-0", "1-+2-0", "a-b-c",
		"1-2-99999999999999999999", "1-2-1099511627776", " 1-2-3",
	} {
		if got, err := jobs.ParsePosition(s); err == nil || jobs.CodeOf(err) != jobs.CodeInvalidRequest {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

func TestChunksAreDeliveredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		at    int
		text  string
		told  string
		after int
	}{
		"the next":           {10, "abc", "abc", 13},
		"told already":       {5, "abcde", "", 10},
		"told in part":       {8, "abcd", "cd", 12},
		"one before is lost": {11, "abc", "", 10},
		"nothing":            {10, "", "", 10},
	} {
		t.Run(name, func(t *testing.T) {
			p := jobs.Position{Stdout: 10, Stderr: 3}
			got, p := p.Advance(jobs.OutputChunk{Stream: jobs.Stdout, Offset: test.at, Text: test.text})
			if got.Text != test.told || p.Stdout != test.after || p.Stderr != 3 || got.Text != "" && got.Offset != 10 {
				t.Errorf("told %+v, then %+v", got, p)
			}
		})
	}
}
