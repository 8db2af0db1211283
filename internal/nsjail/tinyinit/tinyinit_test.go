package tinyinit

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestImageIsAnExecutable(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := Image(arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Type != elf.ET_EXEC || len(f.Progs) != 1 || f.Progs[0].Flags != elf.PF_R|elf.PF_X {
			t.Errorf("%s: %+v %+v", arch, f.FileHeader, f.Progs)
		}
		if f.Entry != baseAddress+codeOffset || int(f.Progs[0].Filesz) != len(image) {
			t.Errorf("%s: entry %#x, size %d of %d", arch, f.Entry, f.Progs[0].Filesz, len(image))
		}
	}
	if _, err := Image("riscv64"); err == nil {
		t.Error("riscv64 was taken")
	}
}

// TestListings compares the listings, which are for readers, with the code of the images: each line has an offset, the
// bytes there, and the instruction that they are.
func TestListings(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^(0x[0-9a-f]{3})  ((?:[0-9a-f]{2} )+) *(\S.*)$`)
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := Image(arch)
		if err != nil {
			t.Fatal(err)
		}
		listing, err := os.ReadFile(arch + ".lst")
		if err != nil {
			t.Fatal(err)
		}
		instructions := line.FindAllSubmatch(listing, -1)
		if lines := strings.Count(string(listing), "\n0x"); len(instructions) != lines {
			t.Errorf("%s: %d of %d lines are instructions", arch, len(instructions), lines)
		}
		next := codeOffset
		for _, m := range instructions {
			var code []byte
			if _, err := fmt.Sscanf(strings.ReplaceAll(string(m[2]), " ", ""), "%x", &code); err != nil {
				t.Fatal(err)
			}
			if offset := fmt.Sprintf("0x%03x", next); string(m[1]) != offset {
				t.Fatalf("%s: %s is listed at %s, not at %s", arch, m[3], m[1], offset)
			}
			if end := next + len(code); end > len(image) || !bytes.Equal(image[next:end], code) {
				t.Fatalf("%s: at %s the image has other bytes than % x", arch, m[1], code)
			}
			next += len(code)
		}
		if next != len(image) {
			t.Errorf("%s: the listing ends at %#x, the image at %#x", arch, next, len(image))
		}
	}
}

// TestInitDropsEverything runs the program on this machine and reads its status. Where the test itself is emulated
// (scripts/test-arm64), EMULATOR runs the program, since the kernel knows none of that architecture.
func TestInitDropsEverything(t *testing.T) {
	t.Parallel()
	image, err := Image(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "init")
	if os.Getenv("EMULATOR") != "" {
		image[headerSize+4] |= byte(elf.PF_W) // qemu refuses a header for capset that the program cannot write
	}
	if err := os.WriteFile(path, image, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{path}
	if emulator := os.Getenv("EMULATOR"); emulator != "" {
		args = []string{emulator, path}
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	status := waitAsleep(t, cmd.Process.Pid)
	for _, want := range []string{
		"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapInh:\t0000000000000000", "NoNewPrivs:\t1",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("%q is not in\n%s", want, status)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("it ended otherwise: %v", cmd.ProcessState)
	}
}

// waitAsleep blocks until the process sleeps in its last call, and returns its status.
func waitAsleep(t *testing.T, pid int) string {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "State:\tS") && ignoresChildren(string(content)) {
			return string(content)
		}
		time.Sleep(time.Millisecond) // falling asleep sends no event
	}
	t.Fatal("the program does not come to rest")
	return ""
}

// ignoresChildren reports whether SIGCHLD is ignored. Other signals may be too: nohup ignores some.
func ignoresChildren(status string) bool {
	_, rest, _ := strings.Cut(status, "SigIgn:\t")
	ignored, err := strconv.ParseUint(rest[:16], 16, 64)
	return err == nil && ignored&(1<<(syscall.SIGCHLD-1)) != 0
}
