package filelocks

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// holdVariable makes this program hold locks instead of running tests: so many of them, in the file fileVariable.
const holdVariable, fileVariable = "FILELOCKS_HOLD", "FILELOCKS_FILE"

func TestMain(m *testing.M) {
	if number, err := strconv.Atoi(os.Getenv(holdVariable)); err == nil {
		if err := hold(os.Getenv(fileVariable), number); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// hold locks so many separate bytes of a file, and holds them until its standard input ends.
func hold(path string, number int) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for i := range number {
		lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(2 * i), Len: 1}
		if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// startHolder starts a program that holds so many locks, with this shell command around it, and returns its process id.
func startHolder(t *testing.T, number int, around string) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", around, self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", holdVariable, number),
		fileVariable+"="+filepath.Join(t.TempDir(), "file"))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid
}

const alone, inAChild = `exec "$0"`, `exec 3<&0; "$0" <&3 & wait`

// openTable returns a Table with a lower limit. A machine without /proc/locks cannot run these tests.
func openTable(t *testing.T, limit int) *Table {
	t.Helper()
	table, err := Open()
	if err != nil {
		t.Skip(err)
	}
	table.limit = limit
	t.Cleanup(table.Close)
	return table
}

func TestJobOverTheLimitIsNoticed(t *testing.T) {
	t.Parallel()
	for name, around := range map[string]string{"in the job's process": alone, "in a descendant": inAChild} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := openTable(t, 100)
			job := table.Watch([]int{startHolder(t, 101, around)})
			defer job.Stop()
			select {
			case held := <-job.Over():
				if held != 101 {
					t.Errorf("%d locks", held)
				}
			case <-time.After(10 * time.Second):
				t.Error("101 locks were not noticed")
			}
		})
	}
}

// Jobs that are below the limit each are not over it together, nor because of other programs.
func TestLocksOfOthersDoNotCount(t *testing.T) {
	t.Parallel()
	table := openTable(t, 100)
	one, two := table.Watch([]int{startHolder(t, 90, alone)}), table.Watch([]int{startHolder(t, 90, inAChild)})
	defer one.Stop()
	defer two.Stop()
	startHolder(t, 500, alone)
	table.read(table.watched())
	select {
	case held := <-one.Over():
		t.Errorf("one: %d locks", held)
	case held := <-two.Over():
		t.Errorf("two: %d locks", held)
	default:
	}
}

// A job that was notified and is not dead yet does not hide another.
func TestSecondJobOverTheLimitIsNoticed(t *testing.T) {
	t.Parallel()
	table := openTable(t, 100)
	jobs := []*Job{table.Watch([]int{startHolder(t, 300, alone)}), table.Watch([]int{startHolder(t, 300, alone)})}
	for _, job := range jobs {
		t.Cleanup(job.Stop)
		select {
		case <-job.Over():
		case <-time.After(10 * time.Second):
			t.Error("300 locks were not noticed")
		}
	}
}

// Close ends the reading while a job is watched, and a Table reads nothing once none is.
func TestReadingEnds(t *testing.T) {
	t.Parallel()
	table, err := Open()
	if err != nil {
		t.Skip(err)
	}
	table.Watch([]int{os.Getpid()}).Stop()
	table.loops.Wait()
	table.Watch([]int{os.Getpid()})
	table.Close()
}

// Nothing is counted where nothing can be.
func TestNothingToCount(t *testing.T) {
	t.Parallel()
	var none *Table
	job := none.Watch([]int{1})
	if job.Over() != nil {
		t.Error("a job is counted without a table")
	}
	job.Stop()
	none.Close()
	if openTable(t, 1).Watch(nil) != nil {
		t.Error("a job without processes is counted")
	}
}

func TestParseLock(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"1: POSIX  ADVISORY  WRITE 31255 00:1b:576 60 60":    31255,
		"2: -> POSIX  ADVISORY  READ 31256 00:1b:576 60 EOF": 31256,
		"3: FLOCK  ADVISORY  WRITE 31257 00:1b:577 0 EOF":    0,
		"4: OFDLCK ADVISORY  WRITE -1 00:1b:577 0 EOF":       0,
		"5: LEASE  ACTIVE    READ 31258 00:1b:577 0 EOF":     0,
		"6: POSIX  *NOINODE* WRITE":                          0,
		"":                                                   0,
	} {
		if got, _ := parseLock([]byte(line)); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

// A line that two reads share is counted once, and so is a lock that is in two lines.
func TestLinesAcrossReads(t *testing.T) {
	t.Parallel()
	c := newCount(nil)
	for _, part := range []string{
		"1: POSIX  ADVISORY  WRITE 4", "2 00:1b:576 60 60\n2: POSIX  ADVI", "SORY  WRITE 42 0:0:1 0 0\n",
	} {
		c.add([]byte(part))
	}
	// A lock that was added between two pages moves the last line of the one into the other.
	c.add([]byte("2: POSIX  ADVISORY  READ 42 0:0:1 0 0\n"))
	if c.lines != 3 || c.held[42] != 2 || len(c.held) != 1 {
		t.Errorf("%d lines, %v", c.lines, c.held)
	}
}
