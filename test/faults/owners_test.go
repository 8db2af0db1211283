package faults

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/test/stack"
)

// operatorToken is API_TOKEN in all stacks.
const operatorToken = "the-operators-token"

// owner is a tenant to whom jobs belong. Several goroutines may use it.
type owner struct {
	name string
	// key is its current key, which the transport of client sends.
	key    atomic.Pointer[string]
	client *http.Client
	// refused counts responses with 401 and 403, which no request of this suite deserves.
	refused atomic.Int64

	mu sync.Mutex
	// things are what it has made, for the spies of others.
	things []thing
}

// thing is a job, a batch or a stored file, by the path that reads it.
type thing struct{ path, id string }

const (
	jobsPath    = "/jobs/"
	batchesPath = "/batches/"
	filesPath   = "/files/"
)

func newOwner(name, key string) *owner {
	o := &owner{name: name}
	o.key.Store(&key)
	transport := o.transport(&http.Transport{MaxIdleConnsPerHost: clients})
	o.client = &http.Client{Timeout: 20 * time.Second, Transport: transport}
	return o
}

// signed is a transport that adds the owner's key to requests.
type signed struct {
	owner *owner
	base  http.RoundTripper
}

func (o *owner) transport(base http.RoundTripper) http.RoundTripper { return &signed{o, base} }

// RoundTrip implements http.RoundTripper.
func (s *signed) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+*s.owner.key.Load())
	response, err := s.base.RoundTrip(request)
	if err == nil && (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden) {
		s.owner.refused.Add(1)
	}
	return response, err
}

// publish shows a thing to the spies of others.
func (o *owner) publish(path, id string) {
	if id == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.things = append(o.things, thing{path, id})
}

// made returns the things so far.
func (o *owner) made() []thing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.things[:len(o.things):len(o.things)]
}

// call sends JSON and decodes the response. It returns status 0 if there is no response.
func (o *owner) call(ctx context.Context, method, url, body, key string) (int, answer) {
	var a answer
	status := stack.DoJSON(ctx, o.client, method, url, []byte(body), key, &a)
	if status == 0 {
		return 0, answer{}
	}
	return status, a
}

// send sends a body of any type, and returns the response's; status 0 if there is no whole one.
func (o *owner) send(ctx context.Context, method, url, contentType, body, key string) (status int, content []byte) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if content, err = io.ReadAll(response.Body); err != nil {
		return 0, content
	}
	return response.StatusCode, content
}

// The owners of a fixture's jobs. The keys of acme are in Redis, that of beta in API_KEYS_FILE, so that both ways to
// verify keys see each fault. acme has a bound on its running jobs, and beta twice the share of the others.
const (
	theOperator = iota
	acme
	beta
)

// owners returns the owners, and the API's settings for them. The key of acme does not exist yet.
func owners(t *testing.T) ([]*owner, stack.Env) {
	t.Helper()
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // never fails
	key := "cb_" + base64.RawURLEncoding.EncodeToString(random)
	file := filepath.Join(shortDir(t), "keys.yaml")
	text := fmt.Sprintf("keys:\n  - sha256: %x\n    tenant: beta\n    scopes: [run, read, cancel]\n"+
		"    limits: {weight: 2}\n",
		sha256.Sum256([]byte(key)))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []*owner{newOwner("operator", operatorToken), newOwner("acme", ""), newOwner("beta", key)},
		stack.Env{"API_TOKEN": operatorToken, "API_KEYS_FILE": file}
}

// makeKey makes the key of acme, also after Redis has forgotten the one before.
func (b *fixture) makeKey(t *testing.T) {
	t.Helper()
	var made struct {
		Key string `json:"key"`
	}
	status := stack.DoJSON(t.Context(), b.owners[theOperator].client, http.MethodPost, b.URL+"/admin/keys",
		[]byte(`{"tenant":"acme","scopes":["run","read","cancel"],"limits":{"running_jobs":4}}`), "", &made)
	if status != http.StatusCreated {
		t.Fatalf("no key is made: %d", status)
	}
	b.owners[acme].key.Store(&made.Key)
}

// listed counts the jobs of the owner that GET /jobs lists, by outcome: ok or a code, or their status if they have not
// ended.
func (o *owner) listed(ctx context.Context, url string) (map[string]int64, error) {
	counts, cursor := map[string]int64{}, ""
	for {
		query := "?limit=200&tenant=" + o.name + cursor
		status, content := o.send(ctx, http.MethodGet, url+"/jobs"+query, "", "", "")
		var page struct {
			Jobs []struct{ Status, Code string }
			Next string `json:"next_cursor"`
		}
		if status != http.StatusOK || json.Unmarshal(content, &page) != nil {
			return nil, fmt.Errorf("GET /jobs%s: %d %s", query, status, content)
		}
		for _, job := range page.Jobs {
			switch {
			case job.Status == "succeeded":
				counts["ok"]++
			case job.Code != "":
				counts[job.Code]++
			default:
				counts[job.Status]++
			}
		}
		if page.Next == "" {
			return counts, nil
		}
		cursor = "&cursor=" + page.Next
	}
}

// used returns the jobs of the owner that GET /usage has, by outcome.
func (o *owner) used(ctx context.Context, url string) (map[string]int64, error) {
	status, content := o.send(ctx, http.MethodGet, url+"/usage?tenant="+o.name, "", "", "")
	var report struct {
		Totals struct{ Jobs map[string]int64 }
	}
	if status != http.StatusOK || json.Unmarshal(content, &report) != nil {
		return nil, fmt.Errorf("GET /usage: %d %s", status, content)
	}
	if report.Totals.Jobs == nil {
		report.Totals.Jobs = map[string]int64{}
	}
	return report.Totals.Jobs, nil
}

// counted returns nil if the usage of the owner is exactly the jobs that ended.
func (o *owner) counted(ctx context.Context, url string) error {
	listed, err := o.listed(ctx, url)
	if err != nil {
		return err
	}
	used, err := o.used(ctx, url)
	if err == nil && !maps.Equal(listed, used) {
		err = fmt.Errorf("%s has jobs by outcome %v, and in its usage %v", o.name, listed, used)
	}
	return err
}
