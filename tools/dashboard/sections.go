package main

// sections are the rows of the dashboard, in their order.
//
// What each replica of the API reads from Redis is the same, so it is queried by max; what each process counts for
// itself is added up.
var sections = []section{now, traffic, queue, workers, redis, webhooks, tenants}

var now = section{"Now", []panel{
	{
		now: true, title: "Alerts", unit: "short", fail: 1,
		description: "Alerts of deploy/monitoring/prometheus/rules.yml that fire. docs/monitoring.md has what to do.",
		queries:     []query{{`count(ALERTS{alertname=~"Cellblock.*", alertstate="firing"}) or vector(0)`, "firing"}},
	},
	{
		now: true, title: "Jobs", unit: "ops",
		description: "Jobs that end in a second.",
		queries:     []query{{`sum(rate(cellblock_ended_jobs_total[$__rate_interval]))`, "jobs"}},
	},
	{
		now: true, title: "Waiting", unit: "short",
		description: "Jobs that wait for a worker, in all environments.",
		queries:     []query{{`sum(max by (environment) (cellblock_queue_depth))`, "jobs"}},
	},
	{
		now: true, title: "Oldest", unit: "s", warn: 60, fail: 900,
		description: "How long the oldest job has waited.",
		queries:     []query{{`max(cellblock_queue_oldest_seconds)`, "oldest"}},
	},
	{
		now: true, title: "Workers", unit: "short",
		description: "Workers that are alive and take jobs.",
		queries:     []query{{`max(cellblock_workers)`, "workers"}},
	},
	{
		now: true, title: "Busy slots", unit: "percentunit",
		description: "Part of the slots of all workers that has a job.",
		queries:     []query{{`max(cellblock_fleet_slots_busy) / (max(cellblock_fleet_slots) > 0)`, "busy"}},
		empty:       "no worker",
	},
	{
		now: true, title: "Failing requests", unit: "percentunit", warn: 0.01, fail: 0.05,
		description: "Part of the responses with a status of 500 or above: faults of the service, never of a script.",
		queries: []query{{
			`(sum(rate(cellblock_http_requests_total{code=~"5.."}[$__rate_interval])) or vector(0))` +
				` / sum(rate(cellblock_http_requests_total[$__rate_interval]))`, "failing",
		}},
	},
	{
		now: true, title: "Redis memory", unit: "percentunit", warn: 0.6, fail: 0.75,
		description: "Part of maxmemory that Redis uses. From three quarters on, new jobs are refused.",
		queries: []query{{
			`max(cellblock_redis_memory_used_bytes) / (max(cellblock_redis_memory_max_bytes) > 0)`, "used",
		}},
		empty: "no bound",
	},
}}

var queue = section{"Queue", []panel{
	{
		title: "Waiting jobs", unit: "short", stacked: true,
		description: "Jobs that wait for a worker, by environment.",
		queries:     []query{{`max by (environment) (cellblock_queue_depth)`, "{{environment}}"}},
	},
	{
		title: "Oldest waiting job", unit: "s",
		description: "How long the oldest job has waited, by environment. Add workers when it grows.",
		queries:     []query{{`max by (environment) (cellblock_queue_oldest_seconds)`, "{{environment}}"}},
	},
	{
		title: "Held jobs", unit: "short", stacked: true,
		description: "Jobs whose tenant runs as many as it may. No worker would start them sooner.",
		queries:     []query{{`max by (environment) (cellblock_queue_held)`, "{{environment}}"}},
	},
	{
		title: "Phases of jobs, 95th percentile", unit: "s",
		description: "Time in which 95% of the jobs were through: queued, prepare (waiting for a sandbox), run.",
		queries: []query{{
			`histogram_quantile(0.95, sum by (phase, le) (rate(cellblock_job_phase_seconds_bucket[$__rate_interval])))`,
			"{{phase}}",
		}},
	},
	{
		title: "Repairs of the reaper", unit: "ops",
		description: "What the reaper repaired, by action. A few of finalized are normal; docs/metrics.md explains the rest.",
		queries:     []query{{`sum by (action) (rate(cellblock_reaper_actions_total[$__rate_interval]))`, "{{action}}"}},
	},
	{
		title: "Working reapers", unit: "short",
		description: "Replicas whose reaper works: one, or for a moment none while another takes over.",
		queries:     []query{{`sum(cellblock_reaper_working)`, "reapers"}},
	},
}}

var redis = section{"Redis", []panel{
	{
		title: "Memory", unit: "bytes",
		description: "Memory that Redis uses, and its bound (maxmemory); 0 is no bound.",
		queries: []query{
			{`max(cellblock_redis_memory_used_bytes)`, "used"},
			{`max(cellblock_redis_memory_max_bytes)`, "maxmemory"},
		},
	},
	{
		title: "Redis seen by the API", unit: "short",
		description: "1 while a replica of the API can read Redis, 0 while it cannot.",
		queries:     []query{{`cellblock_redis_up`, "{{instance}}"}},
	},
	{
		title: "Redis seen by workers", unit: "short",
		description: "1 while a worker's heartbeats reach Redis, 0 while they do not.",
		queries:     []query{{`cellblock_worker_redis_up`, "{{instance}}"}},
	},
}}

var webhooks = section{"Webhooks", []panel{
	{
		title: "Attempts", unit: "ops",
		description: "Attempts at webhooks, by result: delivered, or the reason of the failure.",
		queries:     []query{{`sum by (result) (rate(cellblock_callback_attempts_total[$__rate_interval]))`, "{{result}}"}},
	},
	{
		title: "Ended webhooks", unit: "ops",
		description: "Webhooks that are over: delivered, or failed in the last attempt.",
		queries:     []query{{`sum by (status) (rate(cellblock_callbacks_total[$__rate_interval]))`, "{{status}}"}},
	},
	{
		title: "Open webhooks", unit: "short",
		description: "Webhooks that wait, are being sent, or pause before the next attempt.",
		queries:     []query{{`max(cellblock_webhook_queue_depth)`, "webhooks"}},
	},
}}

var tenants = section{"Tenants", []panel{
	{
		title: "Jobs by tenant", unit: "ops", stacked: true, empty: unsetTenants,
		description: "Jobs that ended, of the tenants in METRICS_TENANTS; all others are one line.",
		queries:     []query{{`sum by (tenant) (rate(cellblock_tenant_jobs_total[$__rate_interval]))`, "{{tenant}}"}},
	},
	{
		title: "Failed jobs by tenant", unit: "ops", empty: unsetTenants,
		description: "Jobs that did not succeed, by tenant and code.",
		queries: []query{{
			`sum by (tenant, outcome) (rate(cellblock_tenant_jobs_total{outcome!="ok"}[$__rate_interval]))`,
			"{{tenant}}: {{outcome}}",
		}},
	},
	{
		title: "Requests by tenant", unit: "reqps", empty: unsetTenants,
		description: "Requests by tenant and status. Many of 429 are a tenant at its limits.",
		queries: []query{{
			`sum by (tenant, code) (rate(cellblock_tenant_requests_total[$__rate_interval]))`, "{{tenant}}: {{code}}",
		}},
	},
}}

const unsetTenants = "METRICS_TENANTS is not set"
