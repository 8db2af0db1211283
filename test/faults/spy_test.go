package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// spyPause is the time between two tries of a spy.
const spyPause = 40 * time.Millisecond

// spy tries with the key of one tenant to reach what belongs to others, whatever dies meanwhile.
type spy struct {
	self   *owner
	others []*owner
	url    string

	mu sync.Mutex
	// tries counts the responses by status, 0 for none.
	tries map[int]int
	leaks []string
}

func (s *spy) run(ctx context.Context) {
	for ctx.Err() == nil {
		other := s.others[rand.IntN(len(s.others))]
		if things := other.made(); len(things) == 0 || rand.IntN(5) == 0 {
			s.list(ctx, other)
		} else {
			s.reach(ctx, things[rand.IntN(len(things))])
		}
		time.Sleep(spyPause)
	}
}

// try is a request that must be refused with a status and a code.
type try struct {
	method, path, body string
	status             int
	code               string
}

// tries returns all ways to reach a thing.
func (x thing) tries() []try {
	unknown := func(method, suffix string) try {
		return try{method, x.path + x.id + suffix, "", http.StatusNotFound, "not_found"}
	}
	with := func(reference string) try {
		body := `{"script":"def main(): return open('f').read()","files":[{"path":"f",` + reference + `}]}`
		return try{http.MethodPost, "/execute", body, http.StatusBadRequest, "file_not_found"}
	}
	all := []try{unknown(http.MethodGet, ""), unknown(http.MethodDelete, "")}
	switch x.path {
	case jobsPath:
		return append(all, unknown(http.MethodGet, "?wait=1s"), unknown(http.MethodGet, "/events"),
			unknown(http.MethodGet, "/files/"+leftFile), with(fmt.Sprintf(`"job_id":%q,"name":%q`, x.id, leftFile)))
	case batchesPath:
		return append(all, unknown(http.MethodGet, "/results"))
	default:
		return append(all, with(fmt.Sprintf(`"file_id":%q`, x.id)))
	}
}

// reach tries one way to a thing of another.
func (s *spy) reach(ctx context.Context, x thing) {
	all := x.tries()
	one := all[rand.IntN(len(all))]
	status, content := s.self.send(ctx, one.method, s.url+one.path, "application/json", one.body, "")
	var a answer
	_ = json.Unmarshal(content, &a)
	s.note(ctx, status, status == one.status && a.Code == one.code, one.method+" "+one.path, content)
}

// list tries the lists and sums, which must have the spy's own only.
func (s *spy) list(ctx context.Context, other *owner) {
	path := []string{
		"/jobs?limit=200", "/jobs?limit=200&tenant=" + other.name, "/usage", "/usage?tenant=" + other.name,
	}[rand.IntN(4)]
	status, content := s.self.send(ctx, http.MethodGet, s.url+path, "", "", "")
	var page struct{ Jobs, Usage []struct{ Tenant string } }
	fine := json.Unmarshal(content, &page) == nil
	for _, row := range slices.Concat(page.Jobs, page.Usage) {
		fine = fine && row.Tenant == s.self.name && !strings.Contains(path, "tenant=")
	}
	fine = fine && (status == http.StatusOK || status == http.StatusNotFound && strings.HasPrefix(path, "/usage?"))
	s.note(ctx, status, fine, "GET "+path, content)
}

// note counts a response. Besides what is right, no response and 503 are honest while parts die.
func (s *spy) note(ctx context.Context, status int, right bool, what string, content []byte) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[status]++
	if !right && status != 0 && status != http.StatusServiceUnavailable {
		s.leaks = append(s.leaks, fmt.Sprintf("%s of %s: %d %.300s", what, s.self.name, status, content))
	}
}

// verify reports what the spy could read or cause.
func (s *spy) verify(t *testing.T) {
	t.Helper()
	t.Logf("the spy of %s got, by status: %v", s.self.name, s.tries)
	if len(s.leaks) > 0 {
		t.Errorf("%d of its responses are wrong; the first: %s", len(s.leaks), s.leaks[0])
	}
	if s.tries[http.StatusNotFound] == 0 {
		t.Errorf("it reached nothing")
	}
}
