package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
)

// process returns the process id in a stand-in's latest start line, which must have been read.
func (u *up) process(t *testing.T, name string) int {
	t.Helper()
	start := regexp.MustCompile(`\| ` + name + ` starts; .* process (\d+)$`)
	for _, line := range slices.Backward(u.read) {
		if id := start.FindStringSubmatch(line); id != nil {
			pid, err := strconv.Atoi(id[1])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("%s has not started", name)
	return 0
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// endWell sends SIGINT and checks for exit status 0.
func (u *up) endWell(t *testing.T) {
	t.Helper()
	u.signal(t, syscall.SIGINT)
	if status := u.end(t); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

func TestUpRestartsServersThatDie(t *testing.T) {
	t.Parallel()
	u := startUp(t, programs(t), t.TempDir(), "LOG_FORMAT=json")
	u.wait(t, "try:")
	for _, name := range []string{"api", "worker"} {
		pid := u.process(t, name)
		kill(t, pid)
		u.wait(t, "restarting process")
		u.wantLine(t, fmt.Sprintf(`"level":"WARN","msg":"restarting process","process":%q,"ended":"\(signal: `+
			`killed\); its last line: %s starts;.*","delay":"200ms","restart":1,"limit":5,"window":"1m0s"`, name, name))
		u.wait(t, "| "+name+" starts")
		if again := u.process(t, name); again == pid {
			t.Errorf("%s is still process %d", name, pid)
		}
	}
	u.endWell(t)
	u.wantLine(t, `^api    \| api ends`)
	u.wantLine(t, `^worker \| worker ends`)
}

// Redis is restarted under the same address, with all data that it had written.
func TestUpRestartsItsRedisWithItsData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	u := startUp(t, programs(t), data)
	u.wait(t, "ready:")
	own, err := newOwnRedis(data)
	if err != nil {
		t.Fatal(err)
	}
	client, err := redisconn.Settings{URL: own.url()}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Set(t.Context(), "kept", "yes", 0).Err(); err != nil {
		t.Fatal(err)
	}
	awaitWritten(t, client)
	kill(t, redisProcess(t, client))
	u.wait(t, "restarting process")
	got, err := client.Get(t.Context(), "kept").Result()
	for late := time.Now().Add(20 * time.Second); err != nil; {
		if time.Now().After(late) {
			t.Fatalf("Redis does not come back: %v", err)
		}
		got, err = client.Get(t.Context(), "kept").Result()
	}
	if got != "yes" {
		t.Errorf("the value is %q", got)
	}
	u.endWell(t)
}

// awaitWritten waits until Redis has passed all changes to the kernel. While the disk is busy with what came before, it
// acknowledges a change up to two seconds earlier (appendfsync everysec).
func awaitWritten(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		info, err := client.Info(t.Context(), "persistence").Result()
		if err == nil && strings.Contains(info, "\naof_buffer_length:0\r") {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("Redis does not write: %v, %s", err, info)
		}
	}
}

func redisProcess(t *testing.T, client redis.UniversalClient) int {
	t.Helper()
	info, err := client.Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`(?m)^process_id:(\d+)`).FindStringSubmatch(info)
	if id == nil {
		t.Fatalf("no process id in %s", info)
	}
	pid, err := strconv.Atoi(id[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestUpEndsWhenRestartsDoNotHelp(t *testing.T) {
	t.Parallel()
	u := startUp(t, programs(t), t.TempDir())
	u.wait(t, "ready:")
	kill(t, u.process(t, "worker"))
	for range restartLimit {
		u.wait(t, "| worker starts")
		kill(t, u.process(t, "worker"))
	}
	if status := u.end(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	u.wantLine(t,
		`^cellblock: worker ended 6 times within 1m0s; the last time \(signal: killed\); its last line: worker starts`)
	u.wantLine(t, `^api    \| api ends`)
}
