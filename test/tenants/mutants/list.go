package main

import "cellblock/test/mutation"

const (
	store      = "internal/jobs/store/"
	dispatch   = "internal/jobs/dispatch/"
	httpapi    = "internal/httpapi/"
	tenantkeys = "internal/tenantkeys/"
)

// attempt returns the pattern of one attempt that runs beside others, and alone that of one that does not.
func attempt(name string) string { return "TestAttempts/" + name + "$" }
func alone(name string) string   { return "TestAlone/" + name + "$" }

// mutant returns the mutant with the edits, each a file, a text and its replacement in turn.
func mutant(name, tests string, edits ...string) mutation.Mutant {
	m := mutation.Mutant{Name: name, Tests: tests}
	for i := 0; i+2 < len(edits); i += 3 {
		m.Edits = append(m.Edits, mutation.Edit{File: edits[i], From: edits[i+1], To: edits[i+2]})
	}
	return m
}

// edit returns an edit, for lists of several.
func edit(file, from, to string) []string { return []string{file, from, to} }

// The checks of owners in the scripts of Redis.
var (
	stateOwner   = edit(store+"access.go", `return job[1] and sees(ARGV[1], job[2]) and job[1] or nil`, `return job[1] or nil`)
	recordOwner  = edit(store+"budget.go", `or not sees(ARGV[2], values[2]) then`, `then`)
	commandOwner = edit(store+"job_commands.go", `or not sees(ARGV[5], job[2]) then`, `then`)
	tailOwner    = edit(store+"job_output.go", `|| !caller.Sees(decodeTenant(job[1]))`, ``)
	batchOwner   = edit(store+"batch.go", "if not batch[1] or not sees(ARGV[1], batch[2]) then\n\treturn nil\nend\nlocal time", "if not batch[1] then\n\treturn nil\nend\nlocal time")
	fileOwner    = edit(store+"stored_files.go", `return file and sees(ARGV[1], cjson.decode(file).tenant) and file or nil`, `return file or nil`)
	headsOwner   = edit(store+"list.go", "if !caller.Sees(tenant) {", "if !caller.Sees(tenant) && false {")
	listsOwner   = edit(store+"list.go", `case named != "" && caller.Sees(named):`, `case named != "":`)
)

func all(lists ...[]string) (edits []string) {
	for _, list := range lists {
		edits = append(edits, list...)
	}
	return edits
}

var mutants = []mutation.Mutant{
	// who owns what an id names
	mutant("a job's record", attempt("ids/get_job"), recordOwner...),
	mutant("a job's record, by MCP", attempt("mcp/get_job"), recordOwner...),
	mutant("a job's record, by a task of MCP", attempt("mcp/get_task"), recordOwner...),
	mutant("a job's record, for its files", attempt("files/job_file"), recordOwner...),
	mutant("a job's record, for references", attempt("references/job_file"), recordOwner...),
	mutant("a reader without a caller", attempt("ids/wait_for_job"), dispatch+"dispatch.go", "d.store.ReadBudgeted(ctx, jobs.CallerOf(ctx), id, patience)", "d.store.ReadBudgeted(ctx, jobs.OperatorCaller(), id, patience)"),
	mutant("a finder of files without a caller", attempt("files/part_of_job_file"), dispatch+"dispatch.go", "d.store.Describe(ctx, jobs.CallerOf(ctx), id, d.settings.Patience)", "d.store.Describe(ctx, jobs.OperatorCaller(), id, d.settings.Patience)"),
	mutant("a resolver without a caller", attempt("references/file_that_is_not_there"), "internal/jobs/storedfiles/resolve.go", "Describe(ctx, jobs.CallerOf(ctx), id, patience)", "Describe(ctx, jobs.OperatorCaller(), id, patience)"),
	mutant("events", attempt("ids/events"), all(stateOwner, commandOwner, tailOwner)...),
	mutant("events of a shared feed", attempt("ids/events_beside_a_watcher"), stateOwner...),
	mutant("cancelling what waits", attempt("ids/cancel_job"), stateOwner...),
	mutant("cancelling, by MCP", attempt("mcp/cancel_task"), stateOwner...),
	mutant("a batch", attempt("batches/get"), batchOwner...),
	mutant("results of a batch", attempt("batches/follow_results"), all(batchOwner, recordOwner)...),
	mutant("cancelling a batch", attempt("batches/cancel"), all(batchOwner, stateOwner)...),
	mutant("waiting for a batch", attempt("batches/wait"), all(
		edit(store+"batch.go", "if not batch[1] or not sees(ARGV[1], batch[2]) then\n\treturn nil\nend\nreturn", "if not batch[1] then\n\treturn nil\nend\nreturn"),
		edit(store+"batch_items.go", "if not batch[1] or not sees(ARGV[2], batch[2]) then", "if not batch[1] then"),
	)...),
	mutant("a stored file", attempt("files/stored"), fileOwner...),
	mutant("deleting a stored file", attempt("files/delete_stored"), fileOwner...),
	mutant("a stored file, for references", attempt("references/in_a_batch"), fileOwner...),
	mutant("a stored file, by MCP", attempt("mcp/run_with_stored_file"), fileOwner...),

	// what is found without an id
	mutant("lists by tenant", attempt("lists/by_tenant"), all(listsOwner, headsOwner)...),
	mutant("lists without a tenant", attempt("lists/all"), all(
		edit(store+"list.go", "case viewerOf(caller) == everyTenant:", "case true:"), headsOwner,
	)...),
	mutant("labels of all tenants", attempt("lists/by_label"), all(
		edit(store+"labels.go", `string(tenant) + "\n" + key`, `"\n" + key`), headsOwner,
	)...),
	mutant("idempotency keys of all tenants", attempt("idempotency/same_request"), all(
		edit(store+"keys.go", `key = "tenant\x00" + string(tenant) + "\x00" + key`, `_ = tenant`), recordOwner,
	)...),
	mutant("idempotency keys, other request", attempt("idempotency/other_request"), store+"keys.go", `key = "tenant\x00" + string(tenant) + "\x00" + key`, `_ = tenant`),
	mutant("usage", attempt("usage/of_another"), dispatch+"usage.go", "if !caller.Sees(tenant) {", "if !caller.Sees(tenant) && false {"),
	mutant("usage of all", attempt("usage/of_another"), dispatch+"usage.go", "if caller.May(jobs.ScopeAdmin) {", "if true {"),
	mutant("activity", attempt("activity/of_another"), dispatch+"usage.go", "if !caller.Sees(tenant) {", "if !caller.Sees(tenant) && false {"),
	mutant("activity of all", attempt("activity/of_another"), dispatch+"usage.go", "if caller.May(jobs.ScopeAdmin) {", "if true {"),
	mutant("metrics of every tenant", attempt("metrics/of_another_address"), "internal/telemetry/tenant_metrics.go", "if t.named[tenant] {", "if true {"),
	mutant("ids without random bits", attempt("guess/bits_that_stay_the_same"), "internal/jobs/job.go", "func NewID() string { return uuid.Must(uuid.NewV7()).String() }", `func NewID() string { return uuid.Must(uuid.NewV7()).String()[:24] + "000000000000" }`),

	// what a key is for
	mutant("the scope of running", attempt("scopes/read_is_not_run"), httpapi+"scopes.go", `"POST /execute": {jobs.ScopeRun},`, `"POST /execute": {jobs.ScopeRun, jobs.ScopeRead},`),
	mutant("the scope of reading events", attempt("scopes/run_is_not_read"), httpapi+"scopes.go", `"GET /jobs/{id}/events":       {jobs.ScopeRead},`, `"GET /jobs/{id}/events":       {jobs.ScopeRead, jobs.ScopeRun},`),
	mutant("the scope of cancelling", attempt("scopes/read_is_not_cancel"), httpapi+"scopes.go", `"DELETE /batches/{id}":    {jobs.ScopeCancel},`, `"DELETE /batches/{id}":    {jobs.ScopeRead},`),
	mutant("the scope of keys", attempt("admin/create_key"), httpapi+"scopes.go", `"POST /admin/keys":                 {jobs.ScopeAdmin},`, `"POST /admin/keys":                 {jobs.ScopeRun},`),
	mutant("the scope of workers", attempt("admin/workers"), all(
		edit(httpapi+"scopes.go", `"GET /workers":                     {jobs.ScopeAdmin},`, `"GET /workers":                     {jobs.ScopeRead},`),
		edit(dispatch+"activity.go", `if !jobs.CallerOf(ctx).May(jobs.ScopeAdmin) {`, `if false {`),
	)...),
	mutant("the scope of metrics", attempt("metrics/of_the_api"), httpapi+"scopes.go", `"GET /metrics": {jobs.ScopeMetrics},`, `"GET /metrics": {jobs.ScopeMetrics, jobs.ScopeRead},`),
	mutant("operations without a scope", attempt("admin/webhook_secret"), httpapi+"scopes.go", "scopes = []jobs.Scope{jobs.ScopeAdmin}", "scopes = []jobs.Scope{jobs.ScopeRead}", httpapi+"scopes.go", `"GET /admin/tenants/{tenant}/webhook-secret": {jobs.ScopeAdmin},`, "", httpapi+"webhook.go", "case !jobs.CallerOf(ctx).May(jobs.ScopeAdmin):", "case false:"),
	mutant("scopes of tools", attempt("scopes/read_is_not_run"), "internal/mcpapi/scopes.go", "if jobs.CallerOf(ctx).May(scope) {", "if true {"),
	mutant("scopes of tasks", attempt("scopes/read_is_not_cancel"), "internal/mcpapi/scopes.go", `"tasks/cancel": jobs.ScopeCancel,`, `"tasks/cancel": jobs.ScopeRead,`),
	mutant("scopes of customers' keys", attempt("admin/scope_of_a_customer"), "internal/jobs/key.go", "case s.Tenant != Operator && (scope == ScopeAdmin || scope == ScopeMetrics):", "case false:"),
	mutant("every caller is an administrator", attempt("lists/all"), "internal/jobs/caller.go", "return slices.Contains(c.Scopes, scope) || slices.Contains(c.Scopes, ScopeAdmin)", "return true || slices.Contains(c.Scopes, scope)", store+"list.go", "if !caller.Sees(tenant) {", "if false {"),

	// whether a key can be used
	mutant("keys that are remembered for long", attempt("lifetimes/revoked"), tenantkeys+"verifier.go", "maxAge = time.Second", "maxAge = time.Minute"),
	mutant("revoked keys", attempt("lifetimes/rotated"), tenantkeys+"store.go", "case !key.RevokedAt.IsZero():", "case false:"),
	mutant("expired keys", attempt("lifetimes/expired"), tenantkeys+"store.go", "case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):", "case false:", tenantkeys+"verifier.go", "|| !l.expires.IsZero() && !time.Now().Before(l.expires) {", "{"),
	mutant("schemes", attempt("tokens/other_schemes"), httpapi+"authenticate.go", "basic && isSandboxFusion(r) {", "basic {"),
	mutant("the form of keys", attempt("tokens/made_of_what_is_known"), tenantkeys+"verifier.go", "if !IsKey(key) {", "if len(key) < 40 {", tenantkeys+"verifier.go", "sum := Hash(key)", "sum := Hash(key)\n\tif raw, err := hexSum(key); err == nil {\n\t\tsum = raw\n\t}", tenantkeys+"doc.go", "// idLength is", "func hexSum(key string) (sum Sum, err error) {\n\traw, err := hex.DecodeString(key)\n\tif err == nil && len(raw) != len(sum) {\n\t\terr = hex.ErrLength\n\t}\n\tcopy(sum[:], raw)\n\treturn sum, err\n}\n\n// idLength is"),
	mutant("keys in other headers", attempt("tokens/in_other_places"), httpapi+"authenticate.go", "scheme, token, _ := strings.Cut(r.Header.Get(\"Authorization\"), \" \")", "if token := r.Header.Get(\"X-Api-Key\"); token != \"\" {\n\t\treturn strings.TrimPrefix(token, \"Bearer \"), true\n\t}\n\tscheme, token, _ := strings.Cut(r.Header.Get(\"Authorization\"), \" \")"),
	mutant("what a refusal shows", attempt("tokens/same_refusal_for_each"), tenantkeys+"verifier.go", "return jobs.Caller{}, false, l.err\n\t}\n\treturn v.callerOf(l.key), true, nil", "if l.key.ID != \"\" {\n\t\t\treturn jobs.Caller{}, false, jobs.Errorf(jobs.CodeUnauthorized, \"the key has ended\")\n\t\t}\n\t\treturn jobs.Caller{}, false, l.err\n\t}\n\treturn v.callerOf(l.key), true, nil"),

	// what leaves the service, and what enters its logs
	mutant("secrets of webhooks", attempt("webhooks/as_the_operator"), "internal/jobs/webhook/tenant.go", "signing := s.secrets\n\tif tenant != jobs.Operator {", "signing := s.secrets\n\tif false {"),
	mutant("one secret for all tenants", attempt("webhooks/as_another_tenant"), "internal/jobs/webhook/tenant.go", `info := "cellblock webhook secret\x00" + string(tenant) + "\x00"`, `_ = tenant; info := "cellblock webhook secret\x00"`),
	mutant("request ids", attempt("smuggling/request_ids"), httpapi+"middleware.go", "if !requestIDPattern.MatchString(id) {", `if id == "" {`),

	// what takes time
	mutant("a record that is read before the check", alone("timing/get_large_job"), store+"budget.go", `local values = redis.call("HMGET", KEYS[1], unpack(ARGV, 3, #ARGV - 3))`, `redis.call("HGETALL", KEYS[1])`+"\n"+`local values = redis.call("HMGET", KEYS[1], unpack(ARGV, 3, #ARGV - 3))`),
	mutant("a length that is read before the check", attempt("commands/get_job"), store+"budget.go", "if not values[1] or not sees", "if values[1] then\n\tredis.call(\"HSTRLEN\", KEYS[1], \"result\")\nend\nif not values[1] or not sees"),
	mutant("a batch that is read before the check", attempt("commands/get_batch"), store+"batch.go", "if not batch[1] or not sees(ARGV[1], batch[2]) then\n\treturn nil\nend\nlocal time", "if batch[1] then\n\tredis.call(\"LRANGE\", KEYS[2], 0, -1)\nend\nif not batch[1] or not sees(ARGV[1], batch[2]) then\n\treturn nil\nend\nlocal time"),

	// what tenants share
	mutant("the room that is left for others", alone("limits/open_jobs"), store+"job_create.go", "most = most > 0 and math.min(most, free) or free", "most = most > 0 and most or math.huge"),
	mutant("the space that is left for others", alone("limits/stored_files"), store+"stored_files.go", "if own + ARGV[2] > free then", "if tonumber(ARGV[2]) > free then"),
	mutant("memory for bodies by address", alone("limits/bodies_of_mcp"), httpapi+"server.go", "membudget.NewShared(maxMCPBodies, maxMCPBodies/2, bodyMemoryTimeout)", "membudget.NewShared(maxMCPBodies, maxMCPBodies, bodyMemoryTimeout)", "internal/membudget/membudget.go", "if now.Sub(b.checked) < checkInterval/2 {", "if true {"),
	mutant("open jobs", alone("limits/more_open_jobs"), store+"job_create.go", "most = most > 0 and math.min(most, free) or free", "most = free"),
	mutant("requests by key", alone("limits/more_requests"), httpapi+"limits.go", "h.rates.Take(r.Context(), caller.Tenant, bounds)", "h.rates.Take(r.Context(), jobs.Tenant(caller.KeyID), bounds)"),
}
