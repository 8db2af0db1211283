package tenants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// sendTimeout bounds a request. Streams that have not ended then count with what has arrived.
const sendTimeout = 20 * time.Second

// actor sends requests with a key, or with none. An actor of an attempt notes the secrets that it receives.
type actor struct {
	name, key, keyID string
	url              string
	client           *http.Client
	// spy reports that secrets are noted.
	spy bool

	mu     sync.Mutex
	leaked []string
}

func newActor(name, key string) *actor {
	return &actor{name: name, key: key, url: world.URL, client: newClient("127.0.0.1")}
}

// newClient returns a client with connections of its own from an address on loopback.
func newClient(from string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// like returns an actor with the same key that notes secrets.
func (a *actor) like() *actor {
	return &actor{name: a.name, key: a.key, keyID: a.keyID, url: a.url, client: a.client, spy: true}
}

// at returns the actor at another replica.
func (a *actor) at(url string) *actor {
	other := a.like()
	other.url, other.spy = url, a.spy
	return other
}

// request is a request; {id} in its path, headers and body is replaced by the id that the attempt is about.
type request struct {
	method, path string
	// headers are names and values in turn.
	headers []string
	body    string
	// anonymous leaves out the key.
	anonymous bool
}

func (r request) withID(id string) request {
	replace := func(text string) string { return strings.ReplaceAll(text, "{id}", id) }
	r.path, r.body = replace(r.path), replace(r.body)
	headers := make([]string, len(r.headers))
	for i, text := range r.headers {
		headers[i] = replace(text)
	}
	r.headers = headers
	return r
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
	// err is why there is no whole response.
	err error
}

func (a answer) ok() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// String describes the answer for the report.
func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.300s", a.status, strings.TrimSpace(a.body))
}

// object decodes the body, which is an object; nil if it is none.
func (a answer) object() map[string]any {
	var object map[string]any
	if json.Unmarshal([]byte(a.body), &object) != nil {
		return nil
	}
	return object
}

// text returns a string of the body's object.
func (a answer) text(name string) string {
	text, _ := a.object()[name].(string)
	return text
}

// send sends a request and reads the response, that of a stream up to the first secret.
func (a *actor) send(r request) answer {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	began := time.Now()
	got := a.exchange(ctx, r)
	got.took = time.Since(began)
	if a.spy {
		a.note(r, got)
	}
	return got
}

func (a *actor) exchange(ctx context.Context, r request) answer {
	out, err := http.NewRequestWithContext(ctx, r.method, a.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return answer{err: err}
	}
	if a.key != "" && !r.anonymous {
		out.Header.Set("Authorization", "Bearer "+a.key)
	}
	if strings.HasPrefix(r.body, "{") {
		out.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(r.headers); i += 2 {
		switch r.headers[i] {
		case "+Authorization":
			out.Header.Add("Authorization", r.headers[i+1])
		default:
			out.Header.Set(r.headers[i], r.headers[i+1])
		}
	}
	response, err := a.client.Do(out)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	got.body, got.err = readBody(response)
	return got
}

// readBody reads a body, that of a stream up to the first secret or the end of the time.
func readBody(response *http.Response) (string, error) {
	kind := response.Header.Get("Content-Type")
	if kind != "text/event-stream" && kind != "application/x-ndjson" {
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	var body bytes.Buffer
	part := make([]byte, 32<<10)
	for {
		n, err := response.Body.Read(part)
		body.Write(part[:n])
		if err != nil || strings.Contains(body.String(), secret) {
			if errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) {
				err = nil
			}
			return body.String(), err
		}
	}
}

// note notes what of acme's is in a response and was not in the request.
func (a *actor) note(r request, got answer) {
	sent := strings.ToLower(r.path + r.body + strings.Join(r.headers, " ")) // errors have ids in lower case
	all := got.body + fmt.Sprint(got.header)
	for _, text := range append([]string{secret}, world.owned.ids()...) {
		if strings.Contains(all, text) && !strings.Contains(sent, text) {
			a.mu.Lock()
			a.leaked = append(a.leaked, fmt.Sprintf("%s %s has %s: %s", r.method, r.path, text, got))
			a.mu.Unlock()
			return
		}
	}
}

// leaks returns the secrets that the actor has received.
func (a *actor) leaks() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.leaked, "\n")
}

// compare returns in what the responses to a foreign and to an unknown id differ: "" if the bytes are the same, and
// neither waits longer.
func (a *actor) compare(r request, foreign, unknown string) string {
	one, other := a.send(r.withID(foreign)), a.send(r.withID(unknown))
	what := r.method + " " + r.path
	switch {
	case one.err != nil && other.err != nil:
		return "" // the control fails then too
	case one.err != nil || other.err != nil:
		return fmt.Sprintf("%s: %s, but for an unknown id: %s", what, one, other) // such as a stream that breaks off
	case one.status != other.status:
		return fmt.Sprintf("%s: %s, but for an unknown id: %s", what, one, other)
	case masked(one, foreign) != masked(other, unknown):
		return fmt.Sprintf("%s: %q, but for an unknown id: %q", what, masked(one, foreign), masked(other, unknown))
	case one.took > other.took+time.Second && one.took > 4*other.took:
		return fmt.Sprintf("%s: answered after %s, but for an unknown id after %s", what, one.took, other.took)
	}
	return ""
}

// masked returns the headers and the body of a response without the id, the request's id and the date.
func masked(got answer, id string) string {
	header := got.header.Clone()
	header.Del("X-Request-Id")
	header.Del("Date")
	var text strings.Builder
	_ = header.Write(&text)
	return strings.ReplaceAll(fmt.Sprintf("%d\n%s\n%s", got.status, text.String(), got.body), id, "{id}")
}
