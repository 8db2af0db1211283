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
		"/debug/pprof/profile?seconds=1000000": 400, "/debug/pprof/trace?seconds=NaN": 400,
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
		if got := profileStatus(t, peer, "localhost:9091", ""); got != want {
			t.Errorf("from %q: %d, want %d", peer, got, want)
		}
	}
}

// A page in a browser reads no profile, nor starts one, also if its own name leads to this machine.
func TestProfilesAreNotForPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, site string
		want       int
	}{
		{"127.0.0.1:9091", "", 200},
		{"[::1]:9091", "none", 200},
		{"localhost", "same-origin", 200},
		{"rebound.example:9091", "", 403},
		{"rebound.example", "same-origin", 403},
		{"", "", 403},
		{"localhost:9091", "cross-site", 403},
		{"localhost:9091", "same-site", 403},
		{"192.0.2.1:9091", "", 403},
	} {
		if got := profileStatus(t, "127.0.0.1:4000", c.host, c.site); got != c.want {
			t.Errorf("host %q, site %q: %d, want %d", c.host, c.site, got, c.want)
		}
	}
}

func profileStatus(t *testing.T, peer, host, site string) int {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap", nil)
	request.RemoteAddr, request.Host = peer, host
	request.Header.Set("Sec-Fetch-Site", site)
	response := httptest.NewRecorder()
	pprofHandler().ServeHTTP(response, request)
	return response.Code
}
