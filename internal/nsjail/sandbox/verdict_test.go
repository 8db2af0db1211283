package sandbox

import (
	"io"
	"syscall"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/wire"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	const (
		byKill  = syscall.WaitStatus(syscall.SIGKILL)
		bySegv  = syscall.WaitStatus(syscall.SIGSEGV)
		byXCPU  = syscall.WaitStatus(syscall.SIGXCPU)
		exited0 = syscall.WaitStatus(0)
		exited3 = syscall.WaitStatus(3 << 8)
	)
	success := wire.Report{Result: []byte("1")}
	failure := wire.Report{Failure: &jobs.Failure{Code: jobs.CodeException, Message: "no"}}
	end := func(s syscall.WaitStatus, cpu time.Duration) wire.ExitStatus {
		return wire.ExitStatus{Known: true, Status: s, CPU: cpu}
	}
	tests := map[string]struct {
		evidence evidence
		want     jobs.Code
	}{
		"success": {evidence{report: success, exitStatus: end(exited0, 0)}, ""},
		"an exception": {
			evidence{report: failure, exitStatus: end(exited0, 0)},
			jobs.CodeException,
		},
		"over the wall":                   {evidence{killReason: killedForWall, reportErr: io.EOF}, jobs.CodeTimeout},
		"a forged success, over the wall": {evidence{killReason: killedForWall, report: success}, jobs.CodeTimeout},
		"over the CPU":                    {evidence{killReason: killedForCPU, reportErr: io.EOF}, jobs.CodeCPULimit},
		"over memory": {
			evidence{oomKills: 1, exitStatus: end(byKill, 0), reportErr: io.EOF},
			jobs.CodeMemoryLimit,
		},
		"over memory and over the wall": {
			evidence{oomKills: 1, killReason: killedForWall, reportErr: io.EOF},
			jobs.CodeMemoryLimit,
		},
		"over the number of file locks": {
			evidence{killReason: killedForLocks, report: success, exitStatus: end(byKill, 0)},
			jobs.CodeMemoryLimit,
		},
		"a child over memory, main goes on": {
			evidence{oomKills: 1, report: success, exitStatus: end(exited0, 0)},
			jobs.CodeMemoryLimit,
		},
		"a large result": {
			evidence{killReason: killedForResult, reportErr: wire.ErrResultTooLarge},
			jobs.CodeResultTooLarge,
		},
		"a large result, then it was gone": {
			evidence{reportErr: wire.ErrResultTooLarge, exitStatus: end(exited0, 0)},
			jobs.CodeResultTooLarge,
		},
		"cancelled": {evidence{killReason: killedByCaller, reportErr: io.EOF}, jobs.CodeCancelled},
		"a segfault": {
			evidence{exitStatus: end(bySegv, 0), reportErr: io.EOF},
			jobs.CodeKilled,
		},
		"a success and then a segfault": {evidence{exitStatus: end(bySegv, 0), report: success}, jobs.CodeKilled},
		"os._exit":                      {evidence{exitStatus: end(exited3, 0), reportErr: io.EOF}, jobs.CodeExit},
		"garbage on the channel": {
			evidence{exitStatus: end(exited0, 0), reportErr: wire.ErrMalformed},
			jobs.CodeExit,
		},
		"a program ends itself with 0": {
			evidence{entry: jobs.EntryScript, exitStatus: end(exited0, 0), reportErr: io.EOF}, "",
		},
		"a program ends itself with 3": {
			evidence{entry: jobs.EntryScript, exitStatus: end(exited3, 0), reportErr: io.EOF}, jobs.CodeExit,
		},
		"a cell ends itself with 0": {
			evidence{entry: jobs.EntryCell, exitStatus: end(exited0, 0), reportErr: io.EOF}, jobs.CodeExit,
		},
		"a program leaves garbage on the channel": {
			evidence{entry: jobs.EntryScript, exitStatus: end(exited0, 0), reportErr: wire.ErrMalformed}, jobs.CodeExit,
		},
		"a program is lost": {evidence{entry: jobs.EntryScript, reportErr: io.EOF}, jobs.CodeWorkerLost},
		"a program over the wall": {
			evidence{
				entry: jobs.EntryScript, killReason: killedForWall, exitStatus: end(exited0, 0), reportErr: io.EOF,
			}, jobs.CodeTimeout,
		},
		"nothing is known":          {evidence{reportErr: io.EOF}, jobs.CodeWorkerLost},
		"the script was not sent":   {evidence{reportErr: io.EOF, sendErr: syscall.EPIPE}, jobs.CodeInternal},
		"the script was not read":   {evidence{reportErr: syscall.ECONNRESET}, jobs.CodeInternal},
		"not sent, but it was late": {evidence{killReason: killedForWall, sendErr: syscall.EPIPE}, jobs.CodeTimeout},
		"RLIMIT_CPU without cgroups": {
			evidence{exitStatus: end(byKill, 10*time.Second), reportErr: io.EOF},
			jobs.CodeCPULimit,
		},
		"SIGXCPU to itself without cgroups": {
			evidence{exitStatus: end(byXCPU, time.Second), reportErr: io.EOF},
			jobs.CodeKilled,
		},
		"SIGKILL with cgroups after 10 s": {evidence{
			cgroups: true, exitStatus: end(byKill, 10*time.Second),
			reportErr: io.EOF,
		}, jobs.CodeKilled},
		"memory seen while polling": {
			evidence{killReason: killedForMemory, reportErr: io.EOF},
			jobs.CodeMemoryLimit,
		},
		"a report, then a non-zero exit":  {evidence{report: success, exitStatus: end(exited3, 0)}, ""},
		"cancelled, and a forged success": {evidence{killReason: killedByCaller, report: success}, jobs.CodeCancelled},
		"a large result while over the wall": {
			evidence{killReason: killedForWall, reportErr: wire.ErrResultTooLarge},
			jobs.CodeTimeout,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got jobs.Code
			if f := decide(test.evidence, jobs.DefaultLimits()); f != nil {
				got = f.Code
				if f.Message == "" {
					t.Error("no sentence")
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The worker decides the exit code of a program; the report has none but that of sys.exit.
func TestExitCode(t *testing.T) {
	t.Parallel()
	three := 3
	for name, test := range map[string]struct {
		entry   jobs.Entry
		failure *jobs.Failure
		want    int // -1 for none
	}{
		"success":        {jobs.EntryScript, nil, 0},
		"exception":      {jobs.EntryScript, &jobs.Failure{Code: jobs.CodeException}, 1},
		"exit":           {jobs.EntryScript, &jobs.Failure{Code: jobs.CodeExit, ExitCode: &three}, 3},
		"a timeout":      {jobs.EntryScript, &jobs.Failure{Code: jobs.CodeTimeout}, -1},
		"a syntax error": {jobs.EntryScript, &jobs.Failure{Code: jobs.CodeSyntaxError}, -1},
		"main":           {jobs.EntryMain, nil, -1},
		"a cell":         {jobs.EntryCell, &jobs.Failure{Code: jobs.CodeException}, -1},
	} {
		got := -1
		if code := exitCode(test.entry, test.failure); code != nil {
			got = *code
		}
		if got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestMessagesNameTheEntry(t *testing.T) {
	t.Parallel()
	ended := wire.ExitStatus{Known: true, Status: syscall.WaitStatus(3 << 8)}
	for entry, want := range map[jobs.Entry][2]string{
		jobs.EntryMain: {
			"the script ended its own process with exit code 3 before main() returned",
			"main() returned more than 4096 KiB of JSON; return a summary or a part",
		},
		jobs.EntryScript: {
			"the script ended its own process with exit code 3",
			"the script sent more than 4096 KiB of JSON; return a summary or a part",
		},
		jobs.EntryCell: {
			"the script ended its own process with exit code 3",
			"the cell's value has more than 4096 KiB of JSON; return a summary or a part",
		},
	} {
		limits := jobs.DefaultLimits()
		exit := decide(evidence{entry: entry, exitStatus: ended, reportErr: io.EOF}, limits)
		large := decide(evidence{entry: entry, reportErr: wire.ErrResultTooLarge}, limits)
		if exit.Message != want[0] || large.Message != want[1] {
			t.Errorf("%q: %q, %q", entry, exit.Message, large.Message)
		}
	}
}

func TestAddReport(t *testing.T) {
	t.Parallel()
	shown := wire.ResultDisplays{Displays: []jobs.Display{{}}}
	report := wire.Report{Result: []byte("1"), ResultDisplays: shown}
	for name, test := range map[string]struct {
		found  evidence
		result string
		notes  int
		shown  int
	}{
		"main":                           {evidence{report: report}, "1", 0, 1},
		"a cell":                         {evidence{entry: jobs.EntryCell, report: report}, "1", 0, 1},
		"a program with a forged result": {evidence{entry: jobs.EntryScript, report: report}, "null", 0, 1},
		"a program without a report":     {evidence{entry: jobs.EntryScript, reportErr: io.EOF}, "null", 1, 0},
	} {
		var outcome jobs.Outcome
		addReport(&outcome, test.found)
		if string(outcome.Result) != test.result || len(outcome.Notes) != test.notes ||
			len(outcome.Displays) != test.shown {
			t.Errorf("%s: %+v", name, outcome)
		}
	}
}
