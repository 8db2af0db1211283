package clients

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellblock/test/stack"
)

// terminal is a shell to which lines are sent one by one, as a reader pastes them. It keeps variables between them.
type terminal struct {
	stdin  io.Writer
	output *bufio.Reader
}

// openTerminal starts a shell in a folder of its own, with the programs in PATH, and settings for the service that is
// started in it. All that it started ends with the test.
func openTerminal(t *testing.T, address string) *terminal {
	t.Helper()
	folder := t.TempDir()
	for name, target := range map[string]string{"cellblock": program, "api": programs.API, "worker": programs.Worker} {
		if err := os.Link(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	shell := exec.Command("bash")
	shell.Dir = folder
	shell.Env = []string{
		"PATH=" + folder + ":" + os.Getenv("PATH"), "HOME=" + folder, "CELLBLOCK_URL=http://" + address,
		"API_ADDR=" + address, "METRICS_ADDR=", "CELLBLOCK_DATA=" + filepath.Join(folder, "data"),
	}
	if prefix := os.Getenv("CELLBLOCK_PREFIX"); prefix != "" {
		shell.Env = append(shell.Env, "CELLBLOCK_PREFIX="+prefix)
	}
	reader, writer := io.Pipe()
	shell.Stdout, shell.Stderr = writer, writer
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pids := stack.Descendants(shell.Process.Pid)
		_, _ = io.WriteString(stdin, "kill $!; wait; exit\n")
		late := time.AfterFunc(bound, func() {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		go func() { _, _ = io.Copy(io.Discard, reader) }()
		_ = shell.Wait()
		late.Stop()
		_ = writer.Close()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(folder, "up.log"))
			t.Logf("up.log:\n%s", log)
		}
	})
	return &terminal{stdin, bufio.NewReader(reader)}
}

// run runs a line and returns what it printed, and its exit status.
func (s *terminal) run(t *testing.T, line string) (printed string, status int) {
	t.Helper()
	if _, err := fmt.Fprintf(s.stdin, "%s\nprintf '\\036%%d\\036' $?\n", line); err != nil {
		t.Fatal(err)
	}
	printed, err := s.output.ReadString('\036')
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if _, err := fmt.Fscanf(s.output, "%d\036", &status); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.TrimSuffix(printed, "\036"), "\r", "")), status
}

// documentedLine is a command and what the document shows that it prints.
type documentedLine struct{ command, prints string }

// matches reports whether the command printed this: "…" stands for anything within a line.
func (l documentedLine) matches(printed string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(l.prints)), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(printed)
}

// documentedLines returns the commands of a block, with the comments after each as its output.
func documentedLines(block string) (lines []documentedLine) {
	for text := range strings.Lines(block) {
		if shown, ok := strings.CutPrefix(text, "# "); ok {
			lines[len(lines)-1].prints += shown
			continue
		}
		lines = append(lines, documentedLine{command: strings.TrimSuffix(text, "\n")})
	}
	return lines
}

// freeAddress returns an address of this machine that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestTwoCustomersInTenLines runs each line of the document as it is, except for the service's address, and compares
// what it prints with the document. What is true some moments after a line before it, it asks again.
func TestTwoCustomersInTenLines(t *testing.T) {
	t.Parallel()
	lines := documentedLines(stack.DocumentedCommands(t, "../../docs/operations.md", "Two customers in ten lines")[0])
	if len(lines) > 10 {
		t.Errorf("%d lines, more than ten", len(lines))
	}
	address := freeAddress(t)
	here := strings.NewReplacer("localhost:8080", address, "127.0.0.1:8080", address)
	s := openTerminal(t, address)
	for _, line := range lines {
		command := here.Replace(line.command)
		line.prints = here.Replace(line.prints)
		printed, status := s.run(t, command)
		for deadline := time.Now().Add(bound); !line.matches(printed) && strings.HasSuffix(command, "usage") &&
			time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			printed, status = s.run(t, command)
		}
		if !line.matches(printed) {
			t.Errorf("%s\nprinted (status %d)\n%s\nwant\n%s", line.command, status, printed, line.prints)
		}
		refused := strings.Contains(line.prints, "cellblock: ")
		if want := map[bool]int{true: 2}[refused]; status != want {
			t.Errorf("%s\nexit status %d, want %d", line.command, status, want)
		}
	}
}
