package storedfiles

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// keeperFixture is a keeper with its Redis and its folder.
type keeperFixture struct {
	*Keeper
	client redis.UniversalClient
	dir    string
}

func newKeeper(t *testing.T, settings Settings) *keeperFixture {
	t.Helper()
	client := redistest.Client(t, redistest.Start(t))
	dir := filepath.Join(t.TempDir(), "files")
	contents := files.New(files.Settings{URL: "file://" + dir})
	t.Cleanup(func() { _ = contents.Close() })
	records := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	return &keeperFixture{NewKeeper(records, contents, settings), client, dir}
}

var usual = Settings{TTL: time.Hour, TotalMB: 64}

// asOperator returns a context whose caller sees everything.
func asOperator(ctx context.Context) context.Context {
	return jobs.WithCaller(ctx, jobs.OperatorCaller())
}

func (k *keeperFixture) upload(t *testing.T, content string) jobs.StoredFile {
	t.Helper()
	file, err := k.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv", Size: int64(len(content))},
		strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// left returns the names in the folder.
func (k *keeperFixture) left(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// counted returns the bytes that count.
func (k *keeperFixture) counted(t *testing.T) int64 {
	t.Helper()
	n, err := k.client.Get(t.Context(), "cellblock:{files}:bytes").Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return n
}

func wantCode(t *testing.T, err error, code jobs.Code) {
	t.Helper()
	if jobs.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestAFileIsStoredAndDeleted(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	file := k.upload(t, "a,b\n1,2\n")
	if left := time.Until(file.ExpiresAt); left < 59*time.Minute || left > time.Hour {
		t.Errorf("it expires in %s", left)
	}
	if file.Name != file.ID || file.Size != 8 || file.SHA256 == "" {
		t.Errorf("got %+v", file)
	}
	found, err := k.Find(asOperator(t.Context()), strings.ToUpper(file.ID))
	if err != nil || found.Key != file.Key || found.MediaType != "text/csv" {
		t.Errorf("got %+v, %v", found, err)
	}
	if err := k.Delete(asOperator(t.Context()), file.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{file.ID, jobs.NewFileID(), "f_", "../x", ""} {
		_, err := k.Find(asOperator(t.Context()), id)
		wantCode(t, err, jobs.CodeNotFound)
		wantCode(t, k.Delete(asOperator(t.Context()), id), jobs.CodeNotFound)
	}
	if n := k.counted(t); n != 0 || len(k.left(t)) != 0 {
		t.Errorf("%d bytes count, and %v is left", n, k.left(t))
	}
}

// TestOneDeleteSucceeds deletes a file many times at once.
func TestOneDeleteSucceeds(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	file := k.upload(t, "x")
	other := k.upload(t, "y")
	var all sync.WaitGroup
	var succeeded atomic.Int32
	for range 20 {
		all.Go(func() {
			err := k.Delete(asOperator(t.Context()), file.ID)
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantCode(t, err, jobs.CodeNotFound)
		})
	}
	all.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d deletes succeeded", n)
	}
	if _, err := k.Find(asOperator(t.Context()), other.ID); err != nil || k.counted(t) != 16<<10 {
		t.Errorf("the other file: %v, %d bytes count", err, k.counted(t))
	}
}

// TestUploadsKeepToTheBound uploads more at once than fits.
func TestUploadsKeepToTheBound(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, Settings{TTL: time.Hour, TotalMB: 3})
	content := bytes.Repeat([]byte("x"), 1<<20)
	var all sync.WaitGroup
	ids := make(chan string, 10)
	for range cap(ids) {
		all.Go(func() {
			file, err := k.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv", Size: 1 << 20},
				bytes.NewReader(content))
			if err != nil {
				wantCode(t, err, jobs.CodeStorageFull)
				return
			}
			ids <- file.ID
		})
	}
	all.Wait()
	close(ids)
	if len(ids) != 3 || len(k.left(t)) != 3 || k.counted(t) != 3<<20 {
		t.Errorf("%d were stored, %v is left, %d bytes count", len(ids), k.left(t), k.counted(t))
	}
	if err := k.Delete(asOperator(t.Context()), <-ids); err != nil {
		t.Fatal(err)
	}
	// Without an announced size, the largest is reserved.
	_, err := k.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv", Size: -1}, bytes.NewReader(content))
	wantCode(t, err, jobs.CodeStorageFull)
	k.upload(t, string(content))
	none := newKeeper(t, Settings{TTL: time.Hour})
	_, err = none.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv"}, strings.NewReader(""))
	wantCode(t, err, jobs.CodeStorageFull)
}

// TestEmptyFilesCount: their records take memory of Redis.
func TestEmptyFilesCount(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, Settings{TTL: time.Hour, TotalMB: 1})
	for range 64 {
		k.upload(t, "")
	}
	_, err := k.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv"}, strings.NewReader(""))
	wantCode(t, err, jobs.CodeStorageFull)
}

// TestAnInterruptedUploadLeavesNothing ends uploads by a read that fails, and by the end of their context.
func TestAnInterruptedUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	broken := errors.New("the client is gone")
	_, err := k.Upload(asOperator(t.Context()), jobs.Upload{MediaType: "text/csv", Size: 1 << 20},
		io.MultiReader(bytes.NewReader(make([]byte, 1<<19)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = k.Upload(asOperator(ctx), jobs.Upload{MediaType: "text/csv", Size: 10}, io.MultiReader(
		strings.NewReader("12345"),
		readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		})))
	if err == nil {
		t.Error("an upload succeeded after its context had ended")
	}
	if n := k.counted(t); n != 0 || len(k.left(t)) != 0 {
		t.Errorf("%d bytes count, and %v is left", n, k.left(t))
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestExpiry: an expired file cannot be found, its content is swept, and it no longer counts.
func TestExpiry(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, Settings{TTL: 50 * time.Millisecond, TotalMB: 64})
	file := k.upload(t, "x")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := k.Find(asOperator(t.Context()), file.ID)
		if jobs.CodeOf(err) == jobs.CodeNotFound {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the file does not expire")
		}
	}
	if k.counted(t) != 16<<10 {
		t.Error("a file whose content is still there does not count")
	}
	removed, err := k.contents.Sweep(t.Context(), time.Now().Add(files.Lag+time.Second))
	if err != nil || removed != 1 || len(k.left(t)) != 0 {
		t.Errorf("%d were removed, %v is left, %v", removed, k.left(t), err)
	}
	// As if the time until which it counts had passed.
	past := redis.Z{Score: 1, Member: file.ID}
	if err := k.client.ZAdd(t.Context(), "cellblock:{files}:expiries", past).Err(); err != nil {
		t.Fatal(err)
	}
	k.upload(t, "y")
	if n := k.counted(t); n != 16<<10 {
		t.Errorf("%d bytes count", n)
	}
}

// TestSweepBeginsWithAnUpload: an API that stores nothing removes nothing.
func TestSweepBeginsWithAnUpload(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	expired := filepath.Join(k.dir, "0000000001.x")
	if err := os.WriteFile(expired, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Sweep(ctx, func(err error) { t.Error(err) })
	}()
	if _, err := os.Stat(expired); err != nil {
		t.Error(err)
	}
	k.upload(t, "x")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(expired); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the expired file is still there")
		}
	}
	cancel()
	<-ended
}

// The files of one tenant leave as much space as they have, so that none keeps the others out.
func TestNoTenantFillsTheSpace(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, Settings{TTL: time.Hour, TotalMB: 8})
	content := bytes.Repeat([]byte("x"), 1<<20)
	fill := func(tenant jobs.Tenant) (stored []jobs.StoredFile, err error) {
		ctx := jobs.WithCaller(t.Context(), jobs.Caller{Tenant: tenant})
		for {
			file, err := k.Upload(ctx, jobs.Upload{MediaType: "text/csv", Size: 1 << 20}, bytes.NewReader(content))
			if err != nil {
				return stored, err
			}
			stored = append(stored, file)
		}
	}
	acme, err := fill("acme")
	if wantCode(t, err, jobs.CodeStorageFull); len(acme) != 4 || !strings.Contains(err.Error(), "have 4.0 MiB") {
		t.Errorf("the first got %d: %v", len(acme), err)
	}
	beta, err := fill("beta")
	if wantCode(t, err, jobs.CodeStorageFull); len(beta) != 2 {
		t.Errorf("the second got %d: %v", len(beta), err)
	}
	rest, err := fill(jobs.Operator)
	if wantCode(t, err, jobs.CodeStorageFull); len(rest) != 2 || !strings.Contains(err.Error(), "8 MiB together") {
		t.Errorf("the operator got %d: %v", len(rest), err)
	}
	// An API of the version before takes each as a number.
	for id, bytes := range k.client.HGetAll(t.Context(), "cellblock:{files}:sizes").Val() {
		if bytes != "1048576" {
			t.Errorf("%s counts %q", id, bytes)
		}
	}
	for _, file := range acme {
		if err := k.Delete(asOperator(t.Context()), file.ID); err != nil {
			t.Fatal(err)
		}
	}
	left := k.client.HGetAll(t.Context(), "cellblock:{files}:bytes_by_tenant").Val()
	tenants := k.client.HGetAll(t.Context(), "cellblock:{files}:tenants").Val()
	if len(tenants) != 2 || tenants[beta[0].ID] != "beta" {
		t.Errorf("the tenants of the files left are %v", tenants)
	}
	if len(left) != 1 || left["beta"] != "2097152" || k.counted(t) != 4<<20 {
		t.Errorf("left: %v, %d", left, k.counted(t))
	}
}
