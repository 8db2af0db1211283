package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"cellblock/test/stack"
)

// sample is the service's use of each resource at one moment, by name.
type sample map[string]float64

// figure is one measured resource. It may grow by its first value times share, plus slack.
type figure struct {
	name  string
	unit  string
	share float64
	slack float64
}

const mb = 1 << 20

// Heap sizes vary, and connection pools fill up to their bound, which is 20 for two cores; slack
// allows for that. A small leak per job or per kill is far above it after twenty minutes.
var figures = []figure{
	{"API: RSS", "MB", 0.25, 16 * mb},
	{"API: PSS", "MB", 0.25, 16 * mb},
	{"API: descriptors", "", 0, 20},
	{"API: goroutines", "", 0, 30},
	{"permanent worker: RSS", "MB", 0.25, 16 * mb},
	{"permanent worker: PSS", "MB", 0.25, 16 * mb},
	{"permanent worker: descriptors", "", 0, 20},
	{"permanent worker: goroutines", "", 0, 30},
	{"all workers and sandboxes: PSS", "MB", 0.15, 32 * mb},
	{"Redis: keys", "", 0, 0},
	{"Redis: members of keys", "", 0, 0},
	// An API that is killed between a client's key and its job leaves a record for two days: the
	// kills bound their number.
	{"Redis: idempotency records", "", 0, 20},
	{"Redis: used_memory", "MB", 0.25, 2 * mb},
	{"Redis: connections", "", 0, 40},
	{"processes", "", 0, 0},
	{"control groups", "", 0, 0},
	// The kernel keeps a removed group while a page of a file is charged to it; a worker lets it keep 1,000.
	{"memory cgroups, removed ones included", "", 0, 1100},
	{"kernel objects (Slab)", "MB", 0.25, 128 * mb},
	{"mounts", "", 0, 0},
	{"files in RUN_DIR", "", 0, 0},
}

// keyPrefix is the prefix of figures for the size of one key; these show what has grown.
const keyPrefix = "in Redis: "

// membersScript returns the number of members of a key; 1 if it is no collection.
var membersScript = redis.NewScript(`
local count = {zset = "ZCARD", hash = "HLEN", list = "LLEN", set = "SCARD"}
local command = count[redis.call("TYPE", KEYS[1]).ok]
return command and redis.call(command, KEYS[1]) or 1`)

// restTimeout is how long the service may take to come to rest: records and heartbeats expire, the
// index is swept, and Go returns memory to the system.
const restTimeout = 150 * time.Second

// awaitRest measures the service at rest: once every record has expired and no figure is above the
// permitted growth from before (if there is one), or at the latest after restTimeout, so that
// lasting growth shows.
func (b *fixture) awaitRest(ctx context.Context, before sample) (sample, error) {
	fmt.Println("waiting until the service is at rest")
	start := time.Now()
	for {
		pause(ctx, 2*time.Second)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.reapOrphans()
		s, err := b.sample(ctx)
		if err != nil {
			return nil, err
		}
		open := s["jobs known"] > 0
		for _, r := range compare(before, s) {
			open = open || r.Grew
		}
		if time.Since(start) > restTimeout || !open && time.Since(start) > resultTTL {
			return s, nil
		}
	}
}

func (b *fixture) sample(ctx context.Context) (sample, error) {
	s := sample{}
	if err := b.sampleGo(ctx, s, "API", b.URL, b.API.PID()); err != nil {
		return nil, err
	}
	if err := b.sampleGo(ctx, s, "permanent worker", b.permanentURL, b.permanentWorker().PID()); err != nil {
		return nil, err
	}
	for _, p := range b.alive() {
		for _, pid := range append(stack.Descendants(p.PID()), p.PID()) {
			s["all workers and sandboxes: PSS"] += pss(pid)
		}
	}
	if err := b.sampleRedis(ctx, s); err != nil {
		return nil, err
	}
	s["processes"] = float64(len(stack.Descendants(os.Getpid())))
	s["control groups"] = float64(len(b.cgroups()))
	s["memory cgroups, removed ones included"] = keptGroups(b.around)
	s["kernel objects (Slab)"] = slab()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	s["mounts"] = float64(strings.Count(string(mounts), "\n"))
	s["files in RUN_DIR"] = float64(countFiles(b.runDir()))
	return s, err
}

// usageLine returns a line with the resources that the API and the permanent worker use under load.
func (b *fixture) usageLine(ctx context.Context) string {
	s := sample{}
	if err := errors.Join(b.sampleGo(ctx, s, "API", b.URL, b.API.PID()),
		b.sampleGo(ctx, s, "permanent worker", b.permanentURL, b.permanentWorker().PID())); err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, name := range []string{"API", "permanent worker"} {
		fmt.Fprintf(&text, "; %s %.1f MB, %.0f descriptors, %.0f goroutines", name, s[name+": RSS"]/mb,
			s[name+": descriptors"], s[name+": goroutines"])
	}
	return text.String()
}

// sampleGo reads the metrics of one of our programs.
func (b *fixture) sampleGo(ctx context.Context, s sample, name, url string, pid int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	defer httpClient.CloseIdleConnections()
	metrics := map[string]float64{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), " "); ok {
			metrics[key], _ = strconv.ParseFloat(value, 64)
		}
	}
	for figure, metric := range map[string]string{
		"RSS": "process_resident_memory_bytes", "descriptors": "process_open_fds", "goroutines": "go_goroutines",
	} {
		if metrics[metric] == 0 {
			return fmt.Errorf("%s has no %s", url, metric)
		}
		s[name+": "+figure] = metrics[metric]
	}
	s[name+": PSS"] = pss(pid)
	return nil
}

// sampleRedis counts keys and their members, because a growing set is still one key.
func (b *fixture) sampleRedis(ctx context.Context, s sample) error {
	var keys []string
	for cursor := uint64(0); ; {
		page, next, err := b.client.Scan(ctx, cursor, "*", 1000).Result()
		if err != nil {
			return err
		}
		keys = append(keys, page...)
		if cursor = next; cursor == 0 {
			break
		}
	}
	for _, key := range keys {
		n, err := membersScript.Run(ctx, b.client, []string{key}).Int()
		if err != nil {
			return err
		}
		if strings.HasSuffix(key, ":idempotency") {
			s["Redis: idempotency records"]++
		} else {
			s["Redis: keys"]++
			s["Redis: members of keys"] += float64(n)
		}
		s[keyPrefix+key] = float64(n)
		if strings.HasSuffix(key, ":job") || strings.HasSuffix(key, ":idempotency") {
			s["jobs known"]++
		}
		if key == "cellblock:{index}:jobs" {
			s["jobs known"] += float64(n)
		}
	}
	info, err := b.client.Info(ctx, "memory", "clients").Result()
	for line := range strings.Lines(info) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); key {
		case "used_memory":
			s["Redis: used_memory"], _ = strconv.ParseFloat(value, 64)
		case "connected_clients":
			s["Redis: connections"], _ = strconv.ParseFloat(value, 64)
		}
	}
	return err
}

// cgroups returns the folders of our workers' control groups and of the groups in them, those
// around first. A worker's group is named after the file that it has locked in RUN_DIR, and lies
// below the group that it was started in: ours, at the time before it may have moved us.
func (b *fixture) cgroups() []string {
	claims, _ := filepath.Glob(filepath.Join(b.runDir(), "claims", "*"))
	var dirs []string
	for _, claim := range claims {
		var place unix.Stat_t
		if unix.Stat(claim, &place) != nil {
			continue
		}
		name := fmt.Sprintf("cellblock-%x-%x", place.Dev, place.Ino)
		for _, around := range b.around {
			_ = filepath.WalkDir(filepath.Join(around, name), func(dir string, entry os.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					dirs = append(dirs, dir)
				}
				return nil // a group that disappeared meanwhile does not count
			})
		}
	}
	return dirs
}

// pss returns a process's proportional set size: its memory, with shared pages divided among the
// processes that share them; 0 if the process is gone.
func pss(pid int) float64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(content)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kb); n == 1 {
			return kb * 1024
		}
	}
	return 0
}

// keptGroups returns the number of memory cgroups that the kernel has in memory, those included that are removed: of
// the whole machine with version 1, which does not count them apart, and of those below ours with version 2.
func keptGroups(around []string) float64 {
	const groups = "/proc/cgroups"
	if hierarchy, _ := field(groups, "memory", 1); hierarchy > 0 {
		n, _ := field(groups, "memory", 2)
		return n
	}
	for _, dir := range around {
		if n, found := field(filepath.Join(dir, "cgroup.stat"), "nr_dying_descendants", 1); found {
			return n
		}
	}
	return 0
}

// slab returns the bytes of the kernel's objects on the whole machine.
func slab() float64 {
	kb, _ := field("/proc/meminfo", "Slab:", 1)
	return kb * 1024
}

// field returns a number in the line of a file that begins with the word name.
func field(path, name string, index int) (float64, bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > index && fields[0] == name {
			n, err := strconv.ParseFloat(fields[index], 64)
			return n, err == nil
		}
	}
	return 0, false
}

func countFiles(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(_ string, _ os.DirEntry, err error) error {
		if err == nil {
			n++
		}
		return nil // a file that disappeared meanwhile does not count
	})
	return n
}
