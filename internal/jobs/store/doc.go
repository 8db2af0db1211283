// Package store keeps the records of jobs and batches in Redis, and knows which workers are alive.
//
// Every change of state is one Lua script, so it is atomic. Every time is read from Redis's clock (TIME, in
// microseconds since 1970), so machines need not agree on theirs. A script may be sent again after a lost reply: the
// second run changes nothing and returns what the first one did.
//
// The files of the package, each of which can be read alone with keys.go and store.go:
//
//	store.go, keys.go, scripts.go    the Store, the keys of Redis, and Lua that several scripts share
//	access.go, tenants.go            who sees what, and the tenants
//	job_*.go                         a job: create, inputs, policy, take, claim its start, read, output, commands, end
//	index.go, list*.go, labels.go    the indexes of jobs: admission, finalization, load, listing
//	reaper_queries.go, workers.go,
//	worker_list.go, offer.go,
//	environments.go                  what the reaper and the API need to know of open jobs and live workers
//	idempotency.go                   keys of clients
//	batch.go, batch_items.go         batches
//	webhook.go, webhook_attempts.go  webhooks of ended jobs
//	usage.go, activity.go            what the jobs of each tenant used on each day, and what happens now
//	budget.go, client_error.go       reads within the memory budget, and errors for clients
//
// A job's hash has these fields; package jobs draws the transitions of its state:
//
//	state          queued, running, succeeded, failed or cancelled
//	async          1 or 0
//	request_id     X-Request-Id of the request that created the job
//	trace          place of the job in a trace: traceparent and, after a space, tracestate; missing for none
//	reply_to       Pub/Sub channel on which the id is published at the end
//	script         the script, until the end
//	entry          how the script is run: script or cell; missing for main
//	bytes_in       bytes of the script and the inputs, for the usage; missing in records of an earlier version
//	inputs         1 if the job has inputs, which have a key of their own until the end
//	created_at     time of acceptance
//	tenant         the owner; missing for the operator
//	priority       order among the jobs of the tenant
//	weight         the tenant's share of the workers; missing for 1
//	max_running    how many jobs of the tenant may run at once; missing for any number
//	labels         the client's labels, as JSON without spaces; missing for none
//	usage_label    the value of the label by which usage is counted; missing for none
//	environment    name of the job's environment; missing for the default
//	start_by       start deadline; missing for none
//	limits         the limits, as storedLimits; missing in records of an earlier version
//	ttl            lifetime of the record after the end, in milliseconds; missing in records of an earlier version
//	webhook        URL to which the end is posted; missing for none
//	webhook_state  status of that, from the first attempt on; see webhookState
//	idempotency    key of the idempotency record; "" for none
//	batch          id of the batch and index of the item, separated by a space; missing for a single job
//	shared         1 once a second request was answered with the job
//	taken_by       worker that took the job last
//	withdrawn      1 once the job was withdrawn: it ended without having run
//	cancel         1 once a client asked to cancel the running job
//	watched        Pub/Sub channels of the replicas that watch the job, each after a space: its worker then stores the
//	               output as events
//	token          start claim: the token of the delivery that may start the job
//	owner          worker of that delivery
//	started_at     time of the start claim
//	deadline       started_at plus the wall limit
//	finished_at    time of the end
//	code           that of the failure, as in the outcome; missing for none, and in records of an earlier version
//	outcome        jobs.Outcome as JSON, without the result and the files, and with the limits under which it ran
//	result         what main() returned, or a cell's last value, byte for byte
//	files          output files, as JSON; missing for none
//
// The hash has no TTL until the job has ended.
package store
