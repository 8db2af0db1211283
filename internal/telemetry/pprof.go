package telemetry

import (
	"fmt"
	"net/http"
	"net/http/pprof" // its routes in http.DefaultServeMux are not served
	"strconv"

	"cellblock/internal/hostcheck"
)

// maxProfileSeconds limits a CPU profile or a trace: net/http/pprof has no limit, and one slows the program.
const maxProfileSeconds = 300

// pprofHandler serves the profiles of net/http/pprof below /debug/pprof/, but not the command line, since flags may
// have secrets. It responds 403 to other machines, which must not learn how the program works, or slow it with
// profiles, and to pages in a browser on this machine, also to those whose host name was bound to it (DNS rebinding).
func pprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", boundedSeconds(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", boundedSeconds(pprof.Trace))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if !hostcheck.IsLoopback(r.RemoteAddr) || !hostcheck.IsLoopback(r.Host) ||
			site != "" && site != "same-origin" && site != "none" {
			http.Error(w, "profiles are served to this machine only", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// boundedSeconds responds 400 to requests for more than maxProfileSeconds.
func boundedSeconds(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if seconds := r.FormValue("seconds"); seconds != "" {
			if n, err := strconv.ParseFloat(seconds, 64); err != nil || !(n > 0 && n <= maxProfileSeconds) {
				message := fmt.Sprintf("seconds must be a number up to %d", maxProfileSeconds)
				http.Error(w, message, http.StatusBadRequest)
				return
			}
		}
		profile(w, r)
	}
}
