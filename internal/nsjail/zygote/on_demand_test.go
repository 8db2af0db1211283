package zygote

import (
	"testing"
	"time"

	"cellblock/internal/nsjail/sandboxtest"
)

// A script that names a package of the on-demand zygote runs at once, with the package preloaded or
// not. Soon it is preloaded.
func TestOnDemandZygote(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 1, func(s *settings) { s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"numpy"} })
	const script = "import sys\ndef main(): return 'numpy' in sys.modules"
	if sandboxtest.Value[bool](t, warm, script) {
		t.Error("it was loaded before a script named it")
	}
	for deadline := time.Now().Add(30 * time.Second); !sandboxtest.Value[bool](t, warm, script); {
		if time.Now().After(deadline) {
			t.Fatal("the zygote does not come")
		}
	}
}

// Without a job, the zygote starts by itself: the first script that names its package finds it preloaded.
func TestOnDemandZygoteStartsWhileTheWorkerIsIdle(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 1, func(s *settings) {
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"numpy"}
		s.Zygote.OnDemandIdle = 200 * time.Millisecond
	})
	for deadline := time.Now().Add(30 * time.Second); !isReady(warm.onDemand); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the zygote does not come")
		}
	}
	if !sandboxtest.Value[bool](t, warm, "import sys\ndef main(): return 'numpy' in sys.modules") {
		t.Error("the first script does not find it")
	}
}

// A busy worker, or one without memory to spare, starts it for a script only.
func TestOnDemandZygoteDoesNotStartInTheWay(t *testing.T) {
	t.Parallel()
	small := openWarm(t, 1, func(s *settings) {
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"numpy"}
		s.Zygote.MemoryMB, s.Zygote.OnDemandIdle = 1<<30, 10*time.Millisecond
	})
	busy := openWarm(t, 1, func(s *settings) {
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"numpy"}
		s.Zygote.OnDemandIdle = time.Second
	})
	for range 2 { // each job is longer than a worker may be idle, and the pause between them is shorter
		sandboxtest.Value[int](t, busy, "import time\ndef main():\n    time.sleep(2)\n    return 1")
	}
	if isReady(busy.onDemand) {
		t.Error("it has started beside jobs")
	}
	if isReady(small.onDemand) {
		t.Error("it has started without memory")
	}
}

// isReady reports whether a pool has started, and does not start it.
func isReady(l *onDemandPool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pool != nil
}

// If the zygote cannot start, scripts that name its package run as others do.
func TestOnDemandZygoteThatCannotStart(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 1, func(s *settings) {
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"no_such_package"}
	})
	for range 3 {
		if got := sandboxtest.Value[int](t, warm, "def main():\n    # no_such_package\n    return 7"); got != 7 {
			t.Errorf("got %d", got)
		}
	}
}

// close does not wait for a zygote that is about to start.
func TestOnDemandZygoteIsClosedWhileItStarts(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 1, func(s *settings) { s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, []string{"pandas"} })
	sandboxtest.Value[int](t, warm, "def main():\n    # pandas\n    return 7")
}
