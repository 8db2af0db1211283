package api

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/httpapi"
	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
	"cellblock/internal/tenantkeys"
)

// ask sends a request with a token, and returns the status and the answer.
func (r *running) ask(t *testing.T, token, method, path, body string) (status int, answer string) {
	t.Helper()
	status, _, answer = r.send(t, method, path, body, "Authorization", "Bearer "+token, "Content-Type",
		"application/json")
	return status, answer
}

// send sends a request with headers, each a name and a value, and returns the response and its body.
func (r *running) send(
	t *testing.T, method, path, body string, headers ...string,
) (status int, header http.Header, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 8 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(read)
}

// newKey is what the API returns of a key.
type newKey struct {
	Key   string `json:"key"`
	KeyID string `json:"key_id"`
}

func (r *running) createKey(t *testing.T, path, body string) (key newKey) {
	t.Helper()
	status, answer := r.ask(t, "operators-secret", http.MethodPost, path, body)
	if err := json.Unmarshal([]byte(answer), &key); status != http.StatusCreated || err != nil {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	return key
}

// awaitStatus sends requests until one has a status, for as long as a change may take.
func (r *running) awaitStatus(t *testing.T, token string, want int) {
	t.Helper()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for began := time.Now(); ; <-pause.C {
		asked := time.Since(began)
		status, answer := r.ask(t, token, http.MethodGet, "/jobs", "")
		if status == want {
			return
		}
		if asked > 5*time.Second {
			t.Fatalf("still %d %s", status, answer)
		}
	}
}

// TestKeysAreNowhereInTheOpen uses all operations on keys, and searches Redis and the log for the keys.
func TestKeysAreNowhereInTheOpen(t *testing.T) {
	url := redistest.Start(t)
	path := filepath.Join(t.TempDir(), "keys.yaml")
	inFile := tenantkeys.NewKey()
	writeKeys(t, path, inFile)
	r := start(t, url, func(s *Settings) { s.HTTP.Token, s.HTTP.KeysFile = "operators-secret", path })
	acme := r.createKey(t, "/admin/keys", `{"tenant":"acme","scopes":["run","read"],"limits":{"weight":2}}`)
	rotated := r.createKey(t, "/admin/keys/"+acme.KeyID+"/rotate", `{"grace_seconds":60}`)
	keys := []string{acme.Key, rotated.Key, inFile}
	for _, key := range keys {
		for _, call := range [][3]string{
			{"GET", "/jobs", ""},
			{"POST", "/execute", `{"script":"","async":true}`},
			{"GET", "/admin/keys", ""},
			{"DELETE", "/jobs/x", ""},
			{"GET", "/none?x=" + key, ""},
			{"POST", "/execute", `{"` + key[:20]},
		} {
			status, answer := r.ask(t, key, call[0], call[1], call[2])
			if status == http.StatusUnauthorized || strings.Contains(answer, key) {
				t.Errorf("%s %s: %d %s", call[0], call[1], status, answer)
			}
		}
	}
	if status, list := r.ask(t, "operators-secret", http.MethodGet, "/admin/keys", ""); status != http.StatusOK ||
		!strings.Contains(list, acme.KeyID) || strings.Contains(list, "cb_") {
		t.Errorf("%d %s", status, list)
	}
	if status, answer := r.ask(t, "operators-secret", http.MethodDelete, "/admin/keys/"+acme.KeyID, ""); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
	r.awaitStatus(t, acme.Key, http.StatusUnauthorized)
	writeKeys(t, path, tenantkeys.NewKey())
	r.awaitStatus(t, inFile, http.StatusUnauthorized)
	if err := os.WriteFile(path, []byte("keys:\n  - sha256: "+inFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if line := r.await(t, "the file of keys cannot be used"); !strings.Contains(line, "line 2") {
		t.Error(line)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
	for range r.lines { // until all are written
	}
	held := dump(t, redistest.Client(t, url))
	for _, key := range append(keys, "operators-secret") {
		for _, line := range append(r.logged, held...) {
			// A part of a key would do too.
			if strings.Contains(line, key) || strings.Contains(line, key[3:15]) {
				t.Errorf("a key is in %s", line)
			}
		}
	}
	if len(r.logged) < 10 || len(held) < 4 {
		t.Errorf("only %d lines were logged, and Redis has %d keys", len(r.logged), len(held))
	}
}

// writeKeys writes API_KEYS_FILE with one key.
func writeKeys(t *testing.T, path, key string) {
	t.Helper()
	content := "keys:\n  - {sha256: " + tenantkeys.Hash(key).String() + ", tenant: file, scopes: [run, read]}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dump returns all that Redis holds, each key with its content.
func dump(t *testing.T, client redis.UniversalClient) (all []string) {
	t.Helper()
	const read = `
		local all = {}
		for _, key in ipairs(redis.call("KEYS", "*")) do
			local kind, content = redis.call("TYPE", key).ok
			if kind == "hash" then content = redis.call("HGETALL", key)
			elseif kind == "set" then content = redis.call("SMEMBERS", key)
			elseif kind == "zset" then content = redis.call("ZRANGE", key, 0, -1)
			elseif kind == "list" then content = redis.call("LRANGE", key, 0, -1)
			elseif kind == "string" then content = {redis.call("GET", key)}
			else content = {} end
			table.insert(all, key .. " " .. table.concat(content, " "))
		end
		return all`
	all, err := client.Eval(t.Context(), read, nil).StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestKeysOfTheFileNeedNoRedis: a request gets as far as what Redis is needed for.
func TestKeysOfTheFileNeedNoRedis(t *testing.T) {
	server := redistest.StartServer(t)
	server.Kill()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	key := tenantkeys.NewKey()
	writeKeys(t, path, key)
	r := start(t, server.URL(), func(s *Settings) { s.HTTP.KeysFile = path })
	for token, want := range map[string]int{key: 403, tenantkeys.NewKey(): 503, "x": 401, "": 401} {
		if status, answer := r.ask(t, token, http.MethodGet, "/metrics", ""); status != want {
			t.Errorf("%d %s, want %d", status, answer, want)
		}
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

func TestABrokenFileOfKeysIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	for content, want := range map[string]string{
		"":                          "it is empty",
		"keys:\n  - {tenant: Acme}": "line 2: the field \"sha256\" is missing",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := runOnce(t, path)
		if err == nil || !strings.Contains(err.Error(), "API_KEYS_FILE "+path+": "+want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := runOnce(t, path+"x"); err == nil || !strings.Contains(err.Error(), "API_KEYS_FILE: open") {
		t.Error(err)
	}
}

// runOnce runs the API with a file of keys, which it must refuse.
func runOnce(t *testing.T, keysFile string) error {
	t.Helper()
	s := Settings{
		HTTP:  httpapi.Settings{Addr: "127.0.0.1:0", KeysFile: keysFile},
		Redis: redisconn.Settings{URL: "redis://127.0.0.1:1"},
	}
	return Run(t.Context(), s, slog.New(slog.DiscardHandler))
}
