package operations

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/api"
	"cellblock/client"
	"cellblock/test/stack"
)

// fixture is a service under load whose data a test destroys.
type fixture struct {
	*stack.Stack
	client *client.Client
	runs   runs
	worker stack.Env
	// ids are those of the jobs, in the order of their numbers.
	ids []string
	// upload is the id of a stored file, and key a tenant's key.
	upload, key string
	// These are the documented commands to back up, to restore the data, and to cancel what is open.
	backUp, restore, cancel string
}

// So many jobs end before the backup, and so many are running or queued then.
const ended, left = 12, 12

// startFixture starts a service with one worker, whose slots have jobs that wait once some have ended.
func startFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	f.runs, f.worker = newRuns(t)
	// A busy machine may take a minute from the start of the first job that waits until all may go on.
	f.worker["LIMIT_WALL"], f.worker["DRAIN_TIMEOUT"] = "2m", "3m"
	f.Stack = stack.StartFor(t, stack.Config{
		Programs: programs, API: stack.Env{"API_TOKEN": token, "LIMIT_WALL": "2m"}, Workers: []stack.Env{f.worker},
	})
	f.client = open(t, f.URL, token)
	stored, err := f.client.UploadFile(t.Context(), client.Upload{Name: "a.txt", Content: []byte("uploaded")})
	if err != nil {
		t.Fatal(err)
	}
	key, err := f.client.CreateKey(t.Context(), client.KeyRequest{Tenant: "acme", Scopes: []string{"run", "read"}})
	if err != nil {
		t.Fatal(err)
	}
	f.upload, f.key = stored.FileID, key.Key
	for number := range ended + left {
		job, err := f.client.Submit(t.Context(), client.Request{Script: script(number, number >= ended)})
		if err != nil {
			t.Fatal(err)
		}
		f.ids = append(f.ids, job.JobID)
	}
	f.documented(t)
	return f
}

// documented reads the commands, and puts the service's paths in.
func (f *fixture) documented(t *testing.T) {
	t.Helper()
	blocks := stack.DocumentedCommands(t, manual, "Backup and restore")
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	socket := strings.TrimPrefix(f.RedisURL, "unix://")
	paths := strings.NewReplacer("/run/cellblock-redis/redis.sock", socket,
		"/var/lib/cellblock-redis", filepath.Dir(socket), "/var/lib/cellblock", filepath.Dir(f.FilesDir()))
	f.backUp, f.restore, f.cancel = paths.Replace(blocks[0]), paths.Replace(blocks[1]), blocks[2]
}

// count returns how many jobs have a status.
func (f *fixture) count(t *testing.T, status api.JobStatus) (n int) {
	t.Helper()
	for _, err := range f.client.List(t.Context(), client.ListOptions{Status: status}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// destroy ends everything, and removes all data.
func (f *fixture) destroy(t *testing.T) {
	t.Helper()
	for _, p := range append(f.Workers(), f.API, f.Redis) {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{f.FilesDir(), filepath.Join(filepath.Dir(f.FilesDir()), "appendonlydir")} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("there is nothing to destroy: %v", err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupAndRestore makes a backup in the middle of the load, as docs/operations.md has it. The load goes on, and
// everything is destroyed and restored.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	backup := "BACKUP=" + t.TempDir()
	await(t, "jobs that wait", func() bool { return f.count(t, api.JobStatusRunning) == slots })
	shell(t, f.backUp, backup)
	f.runs.letGo(t)
	after, err := f.client.Run(t.Context(), client.Request{Script: script(ended+left, false)})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "all jobs", func() bool { return f.count(t, api.JobStatusSucceeded) == ended+left+1 })
	f.destroy(t)
	shell(t, f.restore, backup)
	if err := f.RestartRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	shell(t, f.cancel, "CELLBLOCK_URL="+f.URL, "API_TOKEN="+token)
	if _, err := f.LaunchWorker(programs.Worker, f.worker); err != nil {
		t.Fatal(err)
	}
	f.checkJobs(t)
	f.checkRest(t, after.JobID)
	f.runs.noneTwice(t)
	if counts := f.runs.counts(t); len(counts) != ended+left+2 {
		t.Errorf("%d of %d jobs ran", len(counts), ended+left+2)
	}
}

// checkJobs reads all jobs after the restore. Those that had ended must have their results and files.
func (f *fixture) checkJobs(t *testing.T) {
	t.Helper()
	outcomes := map[string]int{}
	for number, id := range f.ids {
		job, err := f.client.Get(t.Context(), id)
		if err != nil {
			t.Fatalf("job %d: %v", number, err)
		}
		outcomes[cmp.Or(string(job.Code), string(job.Status))]++
		if job.Status != api.JobStatusSucceeded {
			continue
		}
		file, err := f.client.File(t.Context(), id, "number.txt")
		if err != nil {
			t.Fatalf("job %d: %v", number, err)
		}
		if content := readAll(t, file); string(job.Result) != content || content != fmt.Sprint(number) {
			t.Errorf("job %d has the result %s and the file %q", number, job.Result, content)
		}
	}
	want := map[string]int{"succeeded": ended, "worker_lost": slots, "cancelled": left - slots}
	if !maps.Equal(outcomes, want) {
		t.Errorf("restored: %v, want %v", outcomes, want)
	}
}

// checkRest checks what else the backup has, and that the service works. lost is a job from after the backup.
func (f *fixture) checkRest(t *testing.T, lost string) {
	t.Helper()
	var gone *client.Error
	if _, err := f.client.Get(t.Context(), lost); !errors.As(err, &gone) || gone.Code != client.CodeNotFound {
		t.Errorf("a job from after the backup: %v", err)
	}
	upload, err := f.client.DownloadFile(t.Context(), f.upload)
	if err != nil {
		t.Fatal(err)
	}
	if content := readAll(t, upload); content != "uploaded" {
		t.Errorf("the upload has %q", content)
	}
	job, err := open(t, f.URL, f.key).Run(t.Context(), client.Request{Script: script(ended+left+1, false)})
	if err != nil || job.Status != api.JobStatusSucceeded {
		t.Errorf("a new job of the tenant: %+v, %v", job, err)
	}
}

func readAll(t *testing.T, from io.ReadCloser) string {
	t.Helper()
	defer from.Close()
	content, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
