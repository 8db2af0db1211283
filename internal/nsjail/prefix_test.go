package nsjail

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sandboxes find their Python wherever the prefix is.
func TestPrefix(t *testing.T) {
	t.Parallel()
	// Not t.TempDir, which is below /tmp.
	dir, err := os.MkdirTemp("/var/tmp", "cellblock-prefix-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(dir, "a prefix")
	if err := os.Symlink(DefaultPrefix(), prefix); err != nil {
		t.Fatal(err)
	}
	inBothKinds(t, func(s *Settings) {
		s.Nsjail, s.Python = filepath.Join(prefix, "bin/nsjail"), filepath.Join(prefix, "bin/python3")
		s.Preload, s.PreloadOnDemand = nil, nil
	}, func(t *testing.T, provider Provider) {
		if got := value[string](t, provider, "import sys, numpy\ndef main(): return sys.prefix"); got != prefix {
			t.Errorf("the sandbox's Python is in %s, want %s", got, prefix)
		}
	})
}

func TestDefaultPrefix(t *testing.T) {
	t.Setenv("CELLBLOCK_PREFIX", "/elsewhere")
	s := defaultSettings(t)
	if s.Nsjail != "/elsewhere/bin/nsjail" || s.Python != "/elsewhere/bin/python3" {
		t.Errorf("%s, %s", s.Nsjail, s.Python)
	}
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "CELLBLOCK_PREFIX") {
		t.Errorf("no word on the setting: %v", err)
	}
	t.Setenv("CELLBLOCK_PREFIX", "")
	if got := DefaultPrefix(); got != "/opt/cellblock" {
		t.Errorf("without the variable: %s", got)
	}
}

// A Python that the sandbox's own directories hide is refused with the reason, also if only its
// packages are there.
func TestHiddenPythonIsRefused(t *testing.T) {
	t.Parallel()
	s := defaultSettings(t)
	for _, python := range []string{"/tmp/x/bin/python3", "/opt/../tmp/x/bin/python3", "/dev/shm/x/bin/python3"} {
		s.Python = python
		if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "which each sandbox has of its own") {
			t.Errorf("%s: %v", python, err)
		}
	}
	if _, err := (interpreter{Prefix: "/opt/x", Base: "/tmp/y"}).mounts(); err == nil {
		t.Error("a base below /tmp was taken")
	}
	if mounts, err := (interpreter{Prefix: "/tmpfoo", Base: "/usr"}).mounts(); err != nil || len(mounts) != 1 {
		t.Errorf("%v, %v", mounts, err)
	}
}

// A package that is not installed is logged at start with the remedy. Sandboxes stay warm, with the
// other packages loaded.
func TestPackagesThatAreNotInstalled(t *testing.T) {
	t.Parallel()
	cold := openCold(t, func(s *Settings) {
		s.Preload, s.PreloadOnDemand = []string{"numpy", "no_such_package"}, []string{"no_such_module.inner", "not a name"}
	})
	logged := newComplaints()
	provider, err := NewProvider(t.Context(), cold.host, 1, slog.New(logged))
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	text := strings.Join(logged.all(), "\n")
	for _, want := range []string{
		`PRELOAD names "no_such_package", which is not installed`, "make lock setup",
		`PRELOAD_ON_DEMAND names "no_such_module.inner"`, `PRELOAD_ON_DEMAND names "not a name"`,
	} {
		if !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), want) {
			t.Errorf("the log does not have %q:\n%s", want, text)
		}
	}
	if provider.Kind() != KindWarm || !value[bool](t, provider, "import sys\ndef main(): return 'numpy' in sys.modules") {
		t.Error("the packages that are there are not loaded")
	}
}

// A RUN_DIR that another user made is refused: that user could change the programs that run in
// every sandbox.
func TestRunDirOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	s := defaultSettings(t)
	s.RunDir = t.TempDir()
	if err := os.Chown(s.RunDir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "RUN_DIR") || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("got %v", err)
	}
}
