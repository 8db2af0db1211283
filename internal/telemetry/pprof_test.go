package telemetry

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Profiles can be read from this machine, without the command line, and from no other.
func TestProfilesAreForThisMachineOnly(t *testing.T) {
	t.Parallel()
	server := serve(t, http.NotFoundHandler())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/profile?seconds=1": 200, "/debug/pprof/cmdline": 404,
	} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Addr()+path, nil)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	for peer, want := range map[string]int{
		"127.0.0.1:4000": 200, "[::1]:4000": 200, "[::ffff:127.0.0.1]:4000": 200,
		"192.0.2.1:4000": 403, "[2001:db8::1]:4000": 403, "[::ffff:192.0.2.1]:4000": 403, "": 403,
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap", nil)
		request.RemoteAddr = peer
		response := httptest.NewRecorder()
		pprofHandler().ServeHTTP(response, request)
		if response.Code != want {
			t.Errorf("from %q: %d, want %d", peer, response.Code, want)
		}
	}
}
