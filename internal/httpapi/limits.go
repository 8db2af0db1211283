package httpapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"cellblock/internal/jobs"
)

// Rates counts the requests of tenants.
type Rates interface {
	// Take counts a request of a tenant with limits.RequestsPerSecond above 0. If it returns an error, the request is
	// not counted.
	Take(ctx context.Context, tenant jobs.Tenant, limits jobs.TenantLimits) (jobs.RequestQuota, error)
}

// The names of the quota policies in the headers RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers-11).
const (
	requestsPolicy = `"requests"`
	cpuPolicy      = `"cpu-day"`
)

// limitRequests refuses requests to the job API of a tenant that sends too many, and sets the headers with what it may
// send. While Redis does not answer it refuses none: the request itself then fails, or needs no Redis.
func (h *Handler) limitRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := jobs.CallerOf(r.Context())
		bounds := caller.Bounds()
		if !isJobAPI(r.URL.Path) || bounds.RequestsPerSecond <= 0 && bounds.CPUPerDay <= 0 {
			next.ServeHTTP(w, r)
			return
		}
		setPolicies(w, bounds)
		if h.rates != nil && bounds.RequestsPerSecond > 0 {
			quota, err := h.rates.Take(r.Context(), caller.Tenant, bounds)
			if err == nil {
				setRateLimit(w, requestsPolicy, quota.Left, wholeSeconds(quota.Next))
			}
			if err == nil && !quota.Allowed {
				h.writeError(w, r, rateLimited(bounds, quota))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func rateLimited(bounds jobs.TenantLimits, quota jobs.RequestQuota) error {
	return &jobs.Error{
		Code: jobs.CodeRateLimited, RetryAfterSeconds: wholeSeconds(quota.Next),
		Message: fmt.Sprintf("your tenant sends more than %s requests per second (%d at once after a pause); send "+
			"this one again after the seconds in Retry-After",
			strconv.FormatFloat(bounds.RequestsPerSecond, 'f', -1, 64), bounds.BurstSize()),
		Limit: &jobs.LimitHit{Name: "requests_per_second", Value: bounds.RequestsPerSecond, Unit: "count"},
	}
}

// setPolicies sets the header RateLimit-Policy. The quota of requests is what may come at once, and its window the time
// in which a tenant that has used it up gets all of it back.
func setPolicies(w http.ResponseWriter, bounds jobs.TenantLimits) {
	if bounds.RequestsPerSecond > 0 {
		burst := bounds.BurstSize()
		window := wholeSeconds(time.Duration(float64(burst) / bounds.RequestsPerSecond * float64(time.Second)))
		w.Header().Add("RateLimit-Policy", fmt.Sprintf("%s;q=%d;w=%d", requestsPolicy, burst, window))
	}
	if bounds.CPUPerDay > 0 {
		const day = 24 * 60 * 60
		w.Header().Add("RateLimit-Policy", fmt.Sprintf(`%s;q=%d;qu="cpu-seconds";w=%d`, cpuPolicy,
			int64(bounds.CPUPerDay.Seconds()), day))
	}
}

// setRateLimit adds to the header RateLimit that left of a policy's quota can be used within the next seconds.
func setRateLimit(w http.ResponseWriter, policy string, left, seconds int) {
	w.Header().Add("RateLimit", fmt.Sprintf("%s;r=%d;t=%d", policy, left, seconds))
}

// wholeSeconds rounds up, to at least 1.
func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
