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
