package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cellblock/client"
)

// cellblockWith runs the command line with a token.
func cellblockWith(t *testing.T, token, stdin string, words ...string) programResult {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), program, words...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CELLBLOCK_URL=" + service.URL, "CELLBLOCK_TOKEN=" + token}
	return finish(t, cmd, stdin)
}

// keyWith runs a command that prints a key alone.
func keyWith(t *testing.T, words ...string) (key string) {
	t.Helper()
	got := cellblockWith(t, token, "", append([]string{"key"}, words...)...)
	key = strings.TrimSuffix(got.stdout, "\n")
	if got.status != 0 || len(key) != 46 || !strings.HasPrefix(key, "cb_") || strings.Contains(got.stderr, key) {
		t.Fatalf("got %+v", got)
	}
	return key
}

// listed returns the keys of a tenant, by the command line.
func listed(t *testing.T, tenant string) (keys []client.Key) {
	t.Helper()
	got := cellblockWith(t, token, "", "key", "list", "--json", "--tenant", tenant)
	for line := range strings.Lines(got.stdout) {
		var key client.Key
		if err := json.Unmarshal([]byte(line), &key); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		keys = append(keys, key)
	}
	return keys
}

// awaitRefusal runs list with a key until it is refused, which takes a second at most.
func awaitRefusal(t *testing.T, key string) {
	t.Helper()
	for began := time.Now(); ; {
		asked := time.Since(began)
		got := cellblockWith(t, key, "", "list")
		if got.status == 2 && strings.Contains(got.stderr, "(unauthorized)") {
			return
		}
		if got.status != 0 || asked > time.Second {
			t.Fatalf("after %s: %+v", asked, got)
		}
	}
}

// TestKeysOnTheCommandLine uses a key from its creation to its end.
func TestKeysOnTheCommandLine(t *testing.T) {
	const tenant = "command-line"
	key := keyWith(t, "create", "--tenant", tenant, "--scope", "run,read", "--expires", "90d", "--name", "a note",
		"--weight", "2", "--largest", "wall=5s", "--largest", "memory=200", "--cpu-per-day", "2h")
	if got := cellblockWith(t, key, "def main(): return 42", "run", "-"); got.stdout != "42\n" || got.status != 0 {
		t.Errorf("run: %+v", got)
	}
	for _, words := range [][]string{{"cancel", "x"}, {"key", "list"}} {
		got := cellblockWith(t, key, "", words...)
		if got.status != 2 || !strings.Contains(got.stderr, "does not have the scope") {
			t.Errorf("%v: %+v", words, got)
		}
	}
	old := listed(t, tenant)
	if len(old) != 1 || old[0].Status != "active" || old[0].Name != "a note" || old[0].ExpiresAt == nil ||
		old[0].Limits.Weight != 2 || *old[0].Limits.Largest.MemoryMb != 200 || old[0].Limits.CPUSecondsPerDay != 7200 {
		t.Fatalf("listed %+v", old)
	}
	second := keyWith(t, "rotate", old[0].KeyID)
	for _, key := range []string{key, second} {
		if got := cellblockWith(t, key, "", "list"); got.status != 0 {
			t.Errorf("in the grace: %+v", got)
		}
	}
	if got := cellblockWith(t, token, "", "key", "revoke", old[0].KeyID); got.stdout != old[0].KeyID+" revoked\n" {
		t.Errorf("revoke: %+v", got)
	}
	awaitRefusal(t, key)
	for _, each := range listed(t, tenant) {
		if each.KeyID != old[0].KeyID {
			keyWith(t, "rotate", each.KeyID, "--grace", "0")
		}
	}
	awaitRefusal(t, second)
	third, fourth := keyWith(t, "create", "--tenant", tenant, "--scope", "read"),
		keyWith(t, "create", "--tenant", tenant, "--scope", "read")
	got := cellblockWith(t, token, "", "key", "revoke", "--tenant", tenant)
	if got.status != 0 || strings.Count(got.stdout, " revoked\n") != 3 {
		t.Errorf("revoke all: %+v", got)
	}
	awaitRefusal(t, third)
	awaitRefusal(t, fourth)
}

// TestWrongUseOfKeys: a key is never sent in place of an id.
func TestWrongUseOfKeys(t *testing.T) {
	key := strings.TrimSpace(cellblockWith(t, "", "", "key", "hash", "--new").stdout)
	hash := cellblockWith(t, "", key+"\n", "key", "hash")
	if len(hash.stdout) != 65 || hash.status != 0 || strings.Contains(hash.stdout+hash.stderr, key) {
		t.Errorf("hash: %+v", hash)
	}
	for part, words := range map[string][]string{
		"not a key itself":       {"key", "revoke", key},
		"and not a key":          {"key", "rotate", key},
		"--expires soon":         {"key", "create", "--tenant", "a", "--scope", "run", "--expires", "soon"},
		"--expires 0":            {"key", "create", "--tenant", "a", "--scope", "run", "--expires", "0"},
		"--grace 1w":             {"key", "rotate", "k_aaaaaaaaaa", "--grace", "1w"},
		"--largest wal=1":        {"key", "create", "--tenant", "a", "--scope", "run", "--largest", "wal=1"},
		`of the tenant "operat`:  {"key", "create", "--tenant", "a", "--scope", "admin"},
		`"tenant" must have 1`:   {"key", "create", "--tenant", "A", "--scope", "run"},
		"there is no such key":   {"key", "revoke", "k_aaaaaaaaaa"},
		"standard input has no ": {"key", "hash"},
		"give either the ids of": {"key", "revoke"},
		"give either the ids":    {"key", "revoke", "k_aaaaaaaaaa", "--tenant", "acme"},
		"tenant nobody has no a": {"key", "revoke", "--tenant", "nobody"},
	} {
		got := cellblockWith(t, token, "x", words...)
		if got.status != 2 || !strings.Contains(got.stderr, part) || strings.Contains(got.stderr, key) {
			t.Errorf("%v: %+v", words, got)
		}
	}
}
