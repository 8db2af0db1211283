package main

var workers = section{"Workers and sandboxes", []panel{
	{
		title: "Workers by environment", unit: "short",
		description: "Living workers that have an environment. With 0, its jobs wait.",
		queries:     []query{{`max by (environment) (cellblock_environment_workers)`, "{{environment}}"}},
	},
	{
		title: "Slots", unit: "short",
		description: "Jobs that all living workers can run at once, and how many of these places are taken.",
		queries: []query{
			{`max(cellblock_fleet_slots)`, "slots"},
			{`max(cellblock_fleet_slots_busy)`, "busy"},
		},
	},
	{
		title: "Running jobs by worker", unit: "short",
		description: "Jobs that each worker runs now, as a part of its slots.",
		queries: []query{{
			`sum by (instance) (cellblock_jobs_running) / sum by (instance) (cellblock_slots)`, "{{instance}}",
		}},
	},
	{
		title: "Jobs by worker", unit: "ops", stacked: true,
		description: "Jobs that each worker ends in a second.",
		queries:     []query{{`sum by (instance) (rate(cellblock_jobs_total[$__rate_interval]))`, "{{instance}}"}},
	},
	{
		title: "Ready sandboxes", unit: "short",
		description: "Warm sandboxes that wait for a job, by environment and by the packages that are loaded.",
		queries: []query{{
			`sum by (environment, kind) (cellblock_ready_sandboxes)`, "{{environment}}: {{kind}}",
		}},
	},
	{
		title: "Time to fork a sandbox", unit: "s",
		description: "Time from the request for a fork until the sandbox is ready.",
		queries: []query{
			{`histogram_quantile(0.5, sum by (le) (rate(cellblock_fork_seconds_bucket[$__rate_interval])))`, "half of them"},
			{`histogram_quantile(0.99, sum by (le) (rate(cellblock_fork_seconds_bucket[$__rate_interval])))`, "99%"},
		},
	},
	{
		title: "Cold sandboxes", unit: "ops",
		description: "Jobs that got a cold sandbox though warm ones are wanted, by worker. They start a second or so later.",
		queries:     []query{{`sum by (instance) (rate(cellblock_cold_sandboxes_total[$__rate_interval]))`, "{{instance}}"}},
	},
	{
		title: "Zygotes", unit: "ops",
		description: "Zygotes that started, by environment, and those that died, by reason.",
		queries: []query{
			{`sum by (environment) (rate(cellblock_zygote_starts_total[$__rate_interval]))`, "started {{environment}}"},
			{
				`sum by (environment, reason) (rate(cellblock_zygote_deaths_total[$__rate_interval]))`,
				"died {{environment}}: {{reason}}",
			},
		},
	},
	{
		title: "Kinds of sandboxes and limits", unit: "short",
		description: "Workers by the kind of their sandboxes, and by what enforces their limits: cgroups, or rlimits only.",
		queries: []query{
			{`count by (kind) (cellblock_sandbox_info)`, "{{kind}} sandboxes"},
			{`count by (by) (cellblock_limits_info)`, "limits by {{by}}"},
		},
	},
	{
		title: "Processor time of the processes", unit: "short",
		description: "Processors that each API and worker process itself keeps busy; sandboxes are not in it.",
		queries: []query{{
			`rate(process_cpu_seconds_total{job=~".*cellblock.*"}[$__rate_interval])`, "{{instance}}",
		}},
	},
	{
		title: "Open files of the processes", unit: "percentunit",
		description: "Part of the files that each process may open (ulimit -n).",
		queries: []query{{
			`process_open_fds{job=~".*cellblock.*"} / process_max_fds{job=~".*cellblock.*"}`, "{{instance}}",
		}},
	},
	{
		title: "Memory of the processes", unit: "bytes",
		description: "Memory of each API and worker process itself; sandboxes and zygotes are not in it.",
		queries:     []query{{`process_resident_memory_bytes{job=~".*cellblock.*"}`, "{{instance}}"}},
	},
}}
