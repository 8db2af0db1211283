package tenantkeys

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

const aSum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestAFileOfKeys(t *testing.T) {
	t.Parallel()
	keys, err := parseFile([]byte(`# our customers
keys:
  - sha256: ` + aSum + `
    tenant: acme
    scopes: [run, read]
    name: back end
    expires: 2027-06-30
    limits:
      weight: 2
      requests_per_second: 0.5
      largest: {wall_seconds: 5, memory_mb: 200}
      cpu_seconds_per_day: 3600
      environments: [default]
  - {sha256: "` + strings.ToUpper(strings.Repeat("0a", 32)) + `", tenant: operator, scopes: [admin],
     expires: "2027-06-30T14:00:00+02:00"}
`))
	if err != nil {
		t.Fatal(err)
	}
	for sum, key := range keys {
		if !isKeyID(key.ID) || key.ID != fileID(sum) {
			t.Errorf("the id is %s", key.ID)
		}
		key.ID = ""
		keys[sum] = key
	}
	first, _ := parseSumText(t, aSum)
	second, _ := parseSumText(t, strings.Repeat("0a", 32))
	want := map[Sum]jobs.Key{
		first: {
			Tenant: "acme", Name: "back end", Scopes: []jobs.Scope{jobs.ScopeRun, jobs.ScopeRead},
			State: jobs.KeyActive, ExpiresAt: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC),
			Limits: jobs.TenantLimits{
				Weight: 2, RequestsPerSecond: 0.5, CPUPerDay: time.Hour, Environments: []string{"default"},
				Largest: jobs.RequestedLimits{Wall: 5 * time.Second, MemoryBytes: 200 << 20},
			},
		},
		second: {
			Tenant: jobs.Operator, Scopes: []jobs.Scope{jobs.ScopeAdmin}, State: jobs.KeyActive,
			ExpiresAt: time.Date(2027, 6, 30, 12, 0, 0, 0, time.UTC),
		},
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
	for _, none := range []string{"keys:", "keys: []"} {
		if keys, err := parseFile([]byte(none)); err != nil || len(keys) != 0 {
			t.Errorf("%q: %v, %v", none, keys, err)
		}
	}
}

func parseSumText(t *testing.T, text string) (Sum, error) {
	t.Helper()
	keys, err := parseFile([]byte("keys: [{sha256: " + text + ", tenant: a, scopes: [run]}]"))
	for sum := range keys {
		return sum, err
	}
	t.Fatal(err)
	return Sum{}, nil
}

// TestFaultsOfAFileAreNamed checks the sentences, and that none has a secret.
func TestFaultsOfAFileAreNamed(t *testing.T) {
	t.Parallel()
	secret := NewKey()
	entry := "keys:\n  - sha256: " + aSum + "\n    tenant: acme\n    scopes: [run]\n"
	for content, want := range map[string]string{
		"":                                      "it is empty",
		"- a":                                   "line 1: there must be fields",
		"kyes:":                                 `line 1: unknown field "kyes"; the fields are "keys"`,
		"keys: a":                               "line 1: 'keys' must be a list",
		"keys:\n  - a\n":                        "line 2: there must be fields",
		"keys:\n\t- a":                          "line 2: this is not valid YAML",
		"keys:\n  - {sha256: " + secret + "}\n": "line 2: this line has a key itself, and the file takes only hashes",
		"keys: []\n---\nkeys: []\n":             "it is not one document of valid YAML",
		"# nothing\n":                           "it is empty",
		"# " + secret + "\nkeys:":               "line 1: this line has a key itself",
		"keys:\n  - {" + secret + ": 1}\n":      "line 2: this line has a key itself",
		"keys:\n  - {sha256: " + secret[:40] + "}\n":   "line 2: this line has a key itself",
		"keys:\n  - {sha256: s3cret}\n":                "line 2: 'sha256' must be 64 hexadecimal digits",
		"keys:\n  - sha256: [s3cret]\n":                "line 2: 'sha256' must be 64 hexadecimal digits",
		entry + "    scope: [run]\n":                   `line 5: unknown field "scope"; did you mean "scopes"?`,
		entry + "    tenant: bee\n":                    `line 5: the field "tenant" is there twice`,
		entry + "    expires: soon\n":                  "line 5: 'expires' must be a time such as",
		entry + "    expires: 90d\n":                   "line 5: 'expires' must be a time such as",
		entry + "    limits: {weight: 0}\n":            `line 5: "limits.weight" must be a number from 1 to 100`,
		entry + "    limits: {wieght: 1}\n":            `line 5: "limits" has the unknown field "wieght"; did you mean`,
		entry + "    limits: {weight: a}\n":            `line 5: "limits.weight" must be a number, not a string`,
		entry + "    limits: {weight: .inf}\n":         "line 5: this value cannot be read",
		entry + "    limits: {weight: 1, weight: 2}\n": "line 5: ",
		entry + "    limits: [1]\n":                    `line 5: "limits" must be an object, not an array`,
		entry + "    name: &a x\n":                     "line 5: this must be one value",
		entry + "    name: [x]\n":                      "line 5: this must be one value",
		strings.Replace(entry, "[run]", "run", 1):      "line 4: 'scopes' must be a list",
		strings.Replace(entry, "[run]", "[[run]]", 1):  "line 4: this must be one value",
		strings.Replace(entry, "[run]", "[]", 1):       `line 2: "scopes" must have at least one of`,
		strings.Replace(entry, "run", "runs", 1):       `line 2: "scopes" has "runs"`,
		strings.Replace(entry, "run", "admin", 1):      `line 2: the scope "admin" reaches what belongs to all tenants`,
		strings.Replace(entry, "acme", "Acme", 1):      `line 2: "tenant" must have 1 to 63`,
		"keys:\n  - {sha256: " + aSum + ", tenant: a}": `line 2: the field "scopes" is missing`,
		entry + "  - {sha256: " + aSum + ", tenant: b, scopes: [run]}\n": "line 5: the key with this " +
			"sha256 is in the file twice",
	} {
		_, err := parseFile([]byte(content))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", content, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), secret[:20]) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("a secret is in %v", err)
		}
	}
}

// TestAFileIsReadAgain changes it, breaks it, removes it, and brings it back.
func TestAFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entry := func(key string) string {
		return "keys: [{sha256: " + Hash(key).String() + ", tenant: acme, scopes: [run]}]"
	}
	var log strings.Builder
	first, second := NewKey(), NewKey()
	write(entry(first))
	f, err := OpenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	finder, _ := newFake()
	v := newVerifier(finder, f)
	if !verify(t, v, first) || verify(t, v, second) || finder.asked.Load() != 1 {
		t.Errorf("the first version is not in use; Redis was asked %d times", finder.asked.Load())
	}
	write(entry(second)) // in the same moment, with the same size
	f.check()
	if verify(t, v, first) || !verify(t, v, second) {
		t.Error("the second version is not in use")
	}
	for _, bad := range []func(){func() { write("keys: x") }, func() { _ = os.Remove(path) }} {
		bad()
		before := strings.Count(log.String(), "level=ERROR")
		f.check()
		f.check()
		if logged := strings.Count(log.String(), "level=ERROR"); logged != before+1 {
			t.Errorf("%d errors were logged: %s", logged-before, log.String())
		}
		if !verify(t, v, second) {
			t.Error("a broken version was taken")
		}
	}
	write(entry(first))
	f.check()
	if !verify(t, v, first) || verify(t, v, second) {
		t.Error("the last version is not in use")
	}
}

func TestKeysOfAFileExpire(t *testing.T) {
	t.Parallel()
	key := NewKey()
	for expires, want := range map[string]bool{"2020-01-01": false, "2999-01-01": true} {
		path := filepath.Join(t.TempDir(), "keys.yaml")
		content := "keys: [{sha256: " + Hash(key).String() + ", tenant: acme, scopes: [run], expires: " + expires + "}]"
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		finder, _ := newFake()
		if verify(t, newVerifier(finder, f), key) != want {
			t.Errorf("%s: want %t", expires, want)
		}
	}
}
