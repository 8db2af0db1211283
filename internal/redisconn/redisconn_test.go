package redisconn_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

func open(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Settings{URL: url}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestCheckReturnsTheVersion(t *testing.T) {
	t.Parallel()
	version, err := redisconn.Check(t.Context(), open(t, redistest.Start(t)))
	if err != nil || strings.Count(version, ".") != 2 {
		t.Fatalf("got %q, %v", version, err)
	}
}

func TestACLUserIsKept(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	admin := open(t, url)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "ann", "on", ">s3cret", "+@all", "~*").Err(); err != nil {
		t.Fatal(err)
	}
	client := open(t, strings.Replace(url, "unix://", "unix://ann:s3cret@", 1)+"?db=2")
	who, err := client.Do(t.Context(), "ACL", "WHOAMI").Text()
	if err != nil || who != "ann" {
		t.Fatalf("got %q, %v", who, err)
	}
	if info, err := client.Do(t.Context(), "CLIENT", "INFO").Text(); err != nil || !strings.Contains(info, " db=2 ") {
		t.Fatalf("got %q, %v", info, err)
	}
}

// A password with every character that a URL would need to escape replaces the URL's.
func TestPasswordIsApartFromTheURL(t *testing.T) {
	t.Parallel()
	const password = "p@ss:/w%rd?#&"
	url := redistest.Start(t)
	admin := open(t, url)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "ann", "on", ">"+password, "+@all", "~*").Err(); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ann@", "ann:wrong@"} {
		settings := redisconn.Settings{URL: strings.Replace(url, "unix://", "unix://"+user, 1), Password: password}
		client, err := settings.Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if who, err := client.Do(t.Context(), "ACL", "WHOAMI").Text(); err != nil || who != "ann" {
			t.Errorf("%s got %q, %v", user, who, err)
		}
	}
}

// A command's context limits it, whether the server is down or does not answer.
func TestDeadServerFailsInTime(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := open(t, server.URL())
	attempt := func(state string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := client.Ping(ctx).Err(); err == nil {
			t.Fatalf("%s: answered", state)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %s", state, took)
		}
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	attempt("frozen")
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	attempt("gone")
}

// The block time of a blocking command is added to the read timeout.
func TestBlockingOutlivesReadTimeout(t *testing.T) {
	t.Parallel()
	client := open(t, redistest.Start(t)+"?read_timeout=50ms&db=0")
	start := time.Now()
	err := client.BLPop(t.Context(), time.Second, "nothing").Err()
	if took := time.Since(start); err != redis.Nil || took < 900*time.Millisecond { //nolint:errorlint // never wrapped
		t.Fatalf("%v after %s", err, took)
	}
}

func TestURLsAreRedacted(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://ann:s3cret@host:1/2":   "redis://ann:xxxxx@host:1/2",
		"redis://127.0.0.1:6379/0":      "redis://127.0.0.1:6379/0",
		"unix://:s3cret@/a/b.sock?db=1": "unix://:xxxxx@/a/b.sock?db=1",
		"redis://ann:s3 cret@host":      "(a URL that cannot be parsed)",
	} {
		if got := (redisconn.Settings{URL: url}).Redacted(); got != want {
			t.Errorf("%s: got %s", url, got)
		}
	}
}

func TestBadURLsAreRefusedWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "127.0.0.1:6379", "http://ann:s3cret@host", "redis://ann:s3 cret@host",
		"redis://ann:s3cret@host/x", "redis://ann:s3cret@host?unknown=1",
	} {
		_, err := redisconn.Settings{URL: url}.Open()
		if err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestSentinelIsAskedForThePrimary(t *testing.T) {
	t.Parallel()
	settings := redisconn.Settings{
		URL: "redis://user:secret@unused:1/3", Sentinels: []string{"127.0.0.1:1", "127.0.0.1:2"},
		SentinelMaster: "primary",
	}
	client, err := settings.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	failover, ok := client.(*redis.Client)
	if !ok || failover.Options().Username != "user" || failover.Options().DB != 3 {
		t.Errorf("got %T %+v", client, failover.Options())
	}
	redacted := settings.Redacted()
	if strings.Contains(redacted, "secret") || !strings.Contains(redacted, "127.0.0.1:2") {
		t.Errorf("got %q", redacted)
	}
}

func TestInvalidCAFilesAreRefused(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]redisconn.Settings{
		"missing":      {URL: "rediss://host", CAFile: empty + ".not"},
		"none in it":   {URL: "rediss://host", CAFile: empty},
		"without TLS":  {URL: "redis://host", CAFile: empty},
		"on a socket":  {URL: "unix:///a/b.sock", CAFile: empty},
		"by sentinels": {URL: "redis://host", CAFile: empty, Sentinels: []string{"127.0.0.1:1"}},
	} {
		if _, err := settings.Open(); err == nil || !strings.Contains(err.Error(), "REDIS_CA_FILE") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
