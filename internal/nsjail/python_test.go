package nsjail

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
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
	if err := os.Symlink(host.DefaultPrefix(), prefix); err != nil {
		t.Fatal(err)
	}
	inBothKinds(t, func(s *Settings) {
		s.Nsjail, s.Python = filepath.Join(prefix, "bin/nsjail"), filepath.Join(prefix, "bin/python3")
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, nil
	}, func(t *testing.T, provider Provider) {
		if got := sandboxtest.Value[string](t, provider,
			"import sys, numpy\ndef main(): return sys.prefix"); got != prefix {
			t.Errorf("the sandbox's Python is in %s, want %s", got, prefix)
		}
	})
}

// SANDBOX_EPOLL lets scripts use epoll, and the selectors module then chooses it, also where a zygote has imported it.
func TestEpollIsASetting(t *testing.T) {
	t.Parallel()
	inBothKinds(t, func(s *Settings) {
		s.Epoll = true
		s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, nil
	}, func(t *testing.T, provider Provider) {
		got := sandboxtest.Value[string](t, provider, "import select, selectors\n"+
			"def main():\n    select.epoll().close()\n    return selectors.DefaultSelector.__name__")
		if got != "EpollSelector" {
			t.Errorf("the selector is a %s", got)
		}
	})
}

// A package that is not installed is logged at start with the remedy. Sandboxes stay warm, with the
// other packages loaded.
func TestMissingPackagesAreLogged(t *testing.T) {
	t.Parallel()
	settings := sandboxtest.Defaults[Settings](t)
	settings.Zygote.Preload = []string{"numpy", "no_such_package"}
	settings.Zygote.PreloadOnDemand = []string{"no_such_module.inner", "not a name"}
	logged := sandboxtest.NewWarnings()
	provider, err := NewProvider(t.Context(), openHost(t, settings), settings, 1, slog.New(logged))
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	text := strings.Join(logged.All(), "\n")
	for _, want := range []string{
		`PRELOAD names "no_such_package", which is not installed`, "make lock setup",
		`PRELOAD_ON_DEMAND names "no_such_module.inner"`, `PRELOAD_ON_DEMAND names "not a name"`,
	} {
		if !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), want) {
			t.Errorf("the log does not have %q:\n%s", want, text)
		}
	}
	const script = "import sys\ndef main(): return 'numpy' in sys.modules"
	if provider.Kind() != KindWarm || !sandboxtest.Value[bool](t, provider, script) {
		t.Error("the packages that are there are not loaded")
	}
}
