package systemd

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installed is an installation into a folder.
type installed struct {
	// root is the folder that stands for /, and prefix is PREFIX. prefix is a link to its place below root, so that the
	// paths in the units are right.
	root, prefix string
}

// install installs programs that do nothing.
func install(t *testing.T) installed {
	t.Helper()
	dir := t.TempDir()
	i := installed{root: filepath.Join(dir, "root"), prefix: filepath.Join(dir, "prefix")}
	programs := filepath.Join(dir, "programs")
	for _, name := range []string{"api", "worker", "cellblock"} {
		write(t, filepath.Join(programs, name), "#!/bin/sh\n", 0o755)
	}
	if err := os.Symlink(filepath.Join(i.root, i.prefix), i.prefix); err != nil {
		t.Fatal(err)
	}
	i.run(t)
	return i
}

// run runs the installation, and returns what it printed.
func (i installed) run(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../../deploy/systemd/install", arguments...)
	command.Env = append(os.Environ(), "DESTDIR="+i.root, "PREFIX="+i.prefix,
		"PROGRAMS="+filepath.Join(filepath.Dir(i.root), "programs"))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// units is the folder with the installed units.
func (i installed) units() string { return filepath.Join(i.prefix, "lib/systemd/system") }

func (i installed) read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(i.root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// files returns the mode of each file below root.
func (i installed) files(t *testing.T) map[string]fs.FileMode {
	t.Helper()
	modes := map[string]fs.FileMode{}
	err := filepath.WalkDir(i.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			modes[strings.TrimPrefix(path, i.root)] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return modes
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// tool runs a program of systemd.
func tool(t *testing.T, env []string, name string, arguments ...string) (out string, err error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; scripts/setup --test installs it", err)
	}
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Env = append(os.Environ(), env...)
	content, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(content), err
}

// TestInstallAgain keeps what the operator changed, and replaces the rest.
func TestInstallAgain(t *testing.T) {
	t.Parallel()
	i := install(t)
	before := i.files(t)
	const secret = "API_TOKEN=of-the-operator\n"
	write(t, filepath.Join(i.root, "/etc/cellblock/api.env"), secret, 0o600)
	unit := filepath.Join(i.prefix, "lib/systemd/system/cellblock-api@.service")
	write(t, filepath.Join(i.root, unit), "of an earlier version", 0o644)
	if out := i.run(t); !strings.Contains(out, "systemctl enable --now cellblock.target") {
		t.Errorf("it does not print the next steps: %s", out)
	}
	if got := i.read(t, "/etc/cellblock/api.env"); got != secret {
		t.Errorf("the settings are now %q", got)
	}
	if got := i.read(t, unit); !strings.Contains(got, "ExecStart="+i.prefix+"/lib/cellblock/api\n") {
		t.Errorf("the unit is now %q", got)
	}
	after := i.files(t)
	for path, mode := range before {
		if after[path] != mode {
			t.Errorf("%s had mode %v, and has %v", path, mode, after[path])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
}

// TestSecretsAreOfRoot checks the modes of the files that may have secrets.
func TestSecretsAreOfRoot(t *testing.T) {
	t.Parallel()
	modes := install(t).files(t)
	for path, mode := range map[string]fs.FileMode{
		"/etc/cellblock/api.env": 0o600, "/etc/cellblock/worker.env": 0o600, "/etc/cellblock/cellblock.env": 0o600,
		"/etc/cellblock/redis.conf": 0o640,
	} {
		if modes[path] != mode {
			t.Errorf("%s has mode %v, want %v", path, modes[path], mode)
		}
	}
}

// TestRemove leaves nothing but settings.
func TestRemove(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.run(t, "--remove")
	for path := range i.files(t) {
		if !strings.HasPrefix(path, "/etc/cellblock/") {
			t.Errorf("%s is still there", path)
		}
	}
	if len(i.files(t)) != 4 {
		t.Errorf("the settings are gone: %v", i.files(t))
	}
}

// TestUsersAndFolders makes the users and the folders of stored files as the installation does.
func TestUsersAndFolders(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, name := range []string{"systemd-sysusers", "systemd-tmpfiles"} {
		arguments := []string{"--root=" + i.root, "cellblock.conf"}
		if name == "systemd-tmpfiles" {
			arguments = []string{"--root=" + i.root, "--create", "cellblock.conf"}
		}
		if out, err := tool(t, nil, name, arguments...); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	group := i.read(t, "/etc/group")
	if !strings.Contains(group, "\ncellblock:x:") && !strings.HasPrefix(group, "cellblock:x:") {
		t.Errorf("no group: %s", group)
	}
	if passwd := i.read(t, "/etc/passwd"); !strings.Contains(passwd, "cellblock-redis:x:") {
		t.Errorf("no user for Redis: %s", passwd)
	}
	info, err := os.Stat(filepath.Join(i.root, "/var/lib/cellblock/files"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o770 || info.Mode()&fs.ModeSetgid == 0 {
		t.Errorf("the folder of files has mode %v", info.Mode())
	}
}
