package main

var traffic = section{"Traffic", []panel{
	{
		title: "Requests by route", unit: "reqps", stacked: true,
		description: "Requests in a second, by route of the contract.",
		queries:     []query{{`sum by (route) (rate(cellblock_http_requests_total[$__rate_interval]))`, "{{route}}"}},
	},
	{
		title: "Responses by status", unit: "reqps",
		description: "Responses in a second. 500 and above are faults of the service; 422 are scripts that failed.",
		queries:     []query{{`sum by (code) (rate(cellblock_http_requests_total[$__rate_interval]))`, "{{code}}"}},
	},
	{
		title: "Time of requests, 95th percentile", unit: "s",
		description: "Time in which 95% of the requests of a route were answered. Event streams last as long as their job.",
		queries: []query{{
			`histogram_quantile(0.95,` +
				` sum by (route, le) (rate(cellblock_http_request_duration_seconds_bucket[$__rate_interval])))`,
			"{{route}}",
		}},
	},
	{
		title: "Jobs by outcome", unit: "ops",
		description: "Jobs that ended: ok, or a code of docs/api.md. internal, worker_lost, not_started and unavailable are " +
			"faults of the service.",
		queries: []query{{`sum by (outcome) (rate(cellblock_ended_jobs_total[$__rate_interval]))`, "{{outcome}}"}},
	},
	{
		title: "Memory budgets in use", unit: "percentunit",
		description: "Part of each budget for large requests and responses that is acquired, in the replica that uses most.",
		queries: []query{{
			`max by (budget) (cellblock_memory_budget_used_bytes / cellblock_memory_budget_bytes)`, "{{budget}}",
		}},
	},
	{
		title: "Waits and refusals for memory", unit: "reqps",
		description: "Requests that waited for memory of a budget, and those that got none in time.",
		queries: []query{
			{`sum by (budget) (rate(cellblock_memory_budget_waits_total[$__rate_interval]))`, "{{budget}} waits"},
			{`sum by (budget) (rate(cellblock_memory_budget_refusals_total[$__rate_interval]))`, "{{budget}} refused"},
		},
	},
	{
		title: "Slow and refused clients", unit: "ops",
		description: "Requests that were cut since their client was slow while others waited, and connections beyond a bound.",
		queries: []query{
			{`sum by (of) (rate(cellblock_slow_clients_cut_total[$__rate_interval]))`, "slow {{of}}"},
			{`sum by (bound) (rate(cellblock_refused_connections_total[$__rate_interval]))`, "refused, {{bound}}"},
		},
	},
	{
		title: "Clients that hung up", unit: "ops",
		description: "Clients that left while they waited for their job, by what became of it.",
		queries:     []query{{`sum by (job) (rate(cellblock_hangups_total[$__rate_interval]))`, "{{job}}"}},
	},
	{
		title: "Lost lines of the audit log", unit: "ops",
		description: "Lines that could not be written, by replica.",
		queries:     []query{{`sum by (instance) (rate(cellblock_audit_lines_lost_total[$__rate_interval]))`, "{{instance}}"}},
	},
}}
