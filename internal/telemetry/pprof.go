package telemetry

import (
	"net/http"
	"net/http/pprof" // its routes in http.DefaultServeMux are not served
	"net/netip"
)

// pprofHandler serves the profiles of net/http/pprof below /debug/pprof/, but not the command line, since flags may
// have secrets. It responds 403 to other machines, which must not learn how the program works, or slow it with
// profiles.
func pprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() {
			http.Error(w, "profiles are served to this machine only", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
