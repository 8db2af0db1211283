package jobs

import "regexp"

// Tenant is the name of a customer of the service, to whom jobs, batches, files and idempotency keys belong. Its form
// is that of IsTenantName; the zero value owns nothing.
type Tenant string

// Operator is the tenant that runs the service: of requests with API_TOKEN, of those without any key where none is
// needed, and of jobs that an earlier version stored.
const Operator Tenant = "operator"

// tenantPattern is also the pattern of the field in api/openapi.yaml. A name is a part of keys of Redis and of metrics.
var tenantPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// IsTenantName reports whether name can be the name of a tenant: 1 to 63 lower case letters, digits and hyphens, of
// which the first is no hyphen.
func IsTenantName(name string) bool { return tenantPattern.MatchString(name) }
