# `make help` explains the targets. Every one sets up what it needs by itself.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The folder of the sandbox's Python and nsjail. The programs read it too.
export CELLBLOCK_PREFIX ?= /opt/cellblock
ifneq (,$(filter /tmp/% /dev/% /proc/%,$(abspath $(CELLBLOCK_PREFIX))/))
$(error CELLBLOCK_PREFIX is $(CELLBLOCK_PREFIX), and each sandbox has a /tmp, /dev and /proc of its own, which hide it; choose another folder)
endif

# Environments to build, besides default, with spaces between them (docs/environments.md).
export ENVIRONMENTS ?= default

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# RELEASE=1 leaves this machine's paths out of the programs, as the images do. It
# compiles every dependency a second time, apart from what the tests use.
RELEASE ?=
FUZZTIME ?= 60s
SOAK ?= 20m
TESTFLAGS ?= -count=1 -timeout=30m

sandbox_python := $(CELLBLOCK_PREFIX)/bin/python
lint_bin := .cache/lint/bin
vale := .cache/vale/vale
runsc := .cache/gvisor/runsc
helm := .cache/helm
helm_tools := $(helm)/.built
tool := go tool -modfile=tools/go.mod
# Tests of internal/jobs that test-cluster leaves out.
not_in_part := AllParts|EachPart|BoundsOfATenant|TheQueuesLimit|ABatchEndsOnce|ConsumersShare|FullWorker|WatchingReplicas|WithoutAWebhookPay
# The suites in test/ that have a target of their own, as one regular expression.
apart := arm64|browser|clients|cluster|datascience|faults|fleet|helm|kubernetes|mcp|monitoring|operations|proxy|upgrade|verdicts|web

.PHONY: help
help: ## Show this list
	@printf 'Usage: make TARGET [SETTING=value]\n\nTargets:\n'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nSettings:\n'
	@printf '  %-16s %s\n' \
		CELLBLOCK_PREFIX "the sandbox's Python and nsjail ($(CELLBLOCK_PREFIX)); not below /tmp" \
		ENVIRONMENTS "environments that make run and make setup build ($(ENVIRONMENTS))" \
		API_ADDR "address that make run serves on (127.0.0.1:8080)" \
		REDIS_URL "for make run: use this Redis instead of its own" \
		RELEASE "1: make build leaves paths and symbols out, as the images have it" \
		FUZZTIME "how long make fuzz spends on each target ($(FUZZTIME))" \
		SOAK "how long make soak loads the service ($(SOAK))" \
		TESTFLAGS "flags for go test ($(TESTFLAGS))"
	@printf '\nMore settings of the programs: bin/cellblock up --help, bin/api --help, bin/worker --help\n'

.PHONY: run
run: setup build ## Install what is missing, build, and serve on 127.0.0.1:8080 until Ctrl-C
	@exec bin/cellblock up

.PHONY: setup
setup: ## Install what is missing: redis-server, and the environments: Pythons with packages, in CELLBLOCK_PREFIX and beside it
	@scripts/setup

.PHONY: build
build: ## Build bin/api, bin/worker and bin/cellblock
	@mkdir -p bin
	go build $(if $(RELEASE),-trimpath) -ldflags '$(if $(RELEASE),-s -w )-X cellblock/internal/buildinfo.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: test
test: setup-test test-go test-escape test-python test-api ## Run every test of the service: Go with the race detector, Python, real Redis and nsjail

.PHONY: test-short
test-short: ## Run the Go tests that need no root, no Redis and no nsjail (seconds; results are cached)
	go test -short ./internal/... ./client/... ./cmd/... ./api/... ./runner/... ./test/escape/mutants ./test/tenants/mutants

.PHONY: setup-test
setup-test:
	@scripts/setup --test

.PHONY: test-go
test-go: setup-test build ## Run the Go tests only
	go test -race $(TESTFLAGS) ./internal/... ./client/... ./cmd/... ./api/... ./runner/...
	@# One after the other: each uses the whole machine, and their deadlines are real.
	COMPOSE_PROGRAMS=$(CURDIR)/bin PROXY_PROGRAMS=$(CURDIR)/bin OPERATIONS_PROGRAMS=$(CURDIR)/bin go test -race $(TESTFLAGS) -p=1 $$(go list ./test/... | grep -vE '/test/($(apart))(/|$$)|/test/(escape|tenants)$$')

.PHONY: test-escape
test-escape: setup-test build ## Try to escape from both kinds of sandbox, and cause each verdict
	@mkdir -p .cache
	go test -c -o .cache/escape/ ./test/escape ./test/verdicts
	cd test/escape && ESCAPE_PROGRAMS=$(CURDIR)/bin $(CURDIR)/.cache/escape/escape.test -test.timeout 15m
	cd test/verdicts && ESCAPE_PROGRAMS=$(CURDIR)/bin $(CURDIR)/.cache/escape/verdicts.test -test.timeout 15m

# The attempts and cases that need no package besides the standard library.
environment_attempts := TestAttempts/.*/(files|network|processes|secrets)/
environment_cases := TestCases/.*/(channel|endings|inputs|syntax|unicode)/

.PHONY: test-environment
test-environment: setup-test build ## The same, and the conformance cases, in another environment than the default: a selection
	cd test/escape && ESCAPE_PROGRAMS=$(CURDIR)/bin ESCAPE_ENVIRONMENT=handmade go test -count=1 -run '$(environment_attempts)' .
	cd test/conformance && CONFORMANCE_ENVIRONMENT=handmade go test -count=1 -run '$(environment_cases)' .

.PHONY: test-data-science
test-data-science: ## Build the environment data-science, and run the commands of docs/environments.md and scripts that need it
	ENVIRONMENTS="default data-science" scripts/setup --test
	go test -count=1 ./test/datascience

.PHONY: test-escape-mutants
test-escape-mutants: setup-test ## Remove each protection in turn: an attempt must then succeed
	go run ./test/escape/mutants

.PHONY: test-tenants
test-tenants: setup-test build ## Attack a tenant of a running service with the key of another (a minute)
	TENANTS_PROGRAMS=$(CURDIR)/bin go test $(TESTFLAGS) ./test/tenants

.PHONY: test-tenants-mutants
test-tenants-mutants: setup-test ## Remove each check between tenants in turn: an attempt must then succeed
	go run ./test/tenants/mutants

.PHONY: test-cgroup2
test-cgroup2: setup-test ## Run the verdict and escape suites in a guest with cgroup version 2 (qemu, a quarter of an hour)
	scripts/test-cgroup2

.PHONY: test-gvisor
test-gvisor: setup-test $(runsc) ## Run conformance cases, verdicts and the escape suite inside gVisor (five minutes)
	scripts/test-gvisor

# Four minutes of a processor, once.
$(runsc): tools/gvisor/go.mod tools/gvisor/go.sum
	CGO_ENABLED=0 go build -C tools/gvisor -ldflags=-s -o $(CURDIR)/$@ gvisor.dev/gvisor/runsc

.PHONY: test-newer-python
test-newer-python: ## Run the runner's tests, conformance, the verdicts and the escape suite with the CPython of the next Debian release (8 minutes)
	scripts/newer-python $(MAKE) test-python test-escape
	scripts/newer-python go test -count=1 ./test/conformance

.PHONY: test-arm64
test-arm64: ## Build for arm64, and run the programs, unit tests, nsjail and some of the runner under qemu's emulation
	scripts/test-arm64

.PHONY: test-faults
test-faults: setup-test ## Break each part of a running service under load, and count lost and wrong jobs (7 minutes)
	go test -C test/faults -count=1 -timeout 20m

.PHONY: test-upgrade
test-upgrade: setup-test ## Run the version before (UPGRADE_FROM) and this one side by side on one Redis under load (5 minutes)
	go test -C test/upgrade -count=1 -timeout 20m

.PHONY: test-python
test-python: setup ## Run the runner's own tests only, with the sandbox's Python
	@# Test files in parallel: each test mostly starts a process.
	cd runner && ls tests/test_*.py | xargs -P $$(nproc) -n 1 $(sandbox_python) -B -m unittest

.PHONY: test-api
test-api: build ## Test a running service against its contract for half a minute (schemathesis)
	@scripts/setup --fuzz
	scripts/fuzz-api 30

.PHONY: test-clients
test-clients: setup-test test-python-client ## Run the clients in Go and Python, the command line and the documents' examples against a running service (a minute)
	go test -race $(TESTFLAGS) ./test/clients

.PHONY: test-python-client
test-python-client: build ## Run the Python client's tests only, against a running service (a minute)
	@scripts/setup --client
	cd clients/python && $(CURDIR)/.cache/client/bin/python -B -m pytest

.PHONY: test-mcp
test-mcp: setup-test ## Call the MCP server as agents do, and run the protocol's conformance suite against it (two minutes)
	@scripts/setup --mcp
	go test $(TESTFLAGS) ./test/mcp

.PHONY: test-cluster
test-cluster: ## Run the tests of the store and of the queue with the names that keys have in a Redis Cluster
	@# Not those of several parts, and not those that count commands or read raw messages.
	REDISTEST_PART=1 go test $(TESTFLAGS) -skip '$(not_in_part)' ./internal/jobs/store ./internal/jobs/queue

.PHONY: test-browser
test-browser: setup-test ## Try in a real Chromium what web pages of other origins can do to the service (a minute)
	@scripts/setup --browser
	go test $(TESTFLAGS) ./test/browser

.PHONY: test-web
test-web: setup-test test-web-units ## Use the pages of the API in a real Chromium, and attack them (three minutes)
	@scripts/setup --browser --client
	go test $(TESTFLAGS) ./test/web

.PHONY: test-web-units
test-web-units: setup-web ## Run the unit tests of the pages only
	@rm -rf .cache/web-tests
	go -C tools run ./web -tests ../.cache/web-tests
	node --test .cache/web-tests/*/*.test.mjs

.PHONY: test-operations
test-operations: setup-test build ## Use the proxy of deploy/proxy, and back up, restore and rotate as docs/operations.md has it (a minute)
	OPERATIONS_PROGRAMS=$(CURDIR)/bin go test $(TESTFLAGS) -p=1 ./test/proxy ./test/operations

.PHONY: test-monitoring
test-monitoring: setup-test build ## Test the alerts and the dashboard with a real Prometheus that scrapes a loaded service (two minutes)
	@scripts/setup --monitoring
	MONITORING_PROGRAMS=$(CURDIR)/bin go test $(TESTFLAGS) ./test/monitoring

.PHONY: test-alerts
test-alerts: setup-test ## The same without a service: the alerts by promtool, and the names of metrics (seconds)
	@scripts/setup --monitoring
	go test $(TESTFLAGS) -skip '^TestService$$' ./test/monitoring

.PHONY: setup-web
setup-web:
	@scripts/setup --web

.PHONY: lint
lint: lint-go lint-python lint-web lint-prose ## Check style, import arrows and words: golangci-lint, ruff, mypy, biome, tsc, Vale

.PHONY: lint-go
lint-go: ## The same for Go only
	$(tool) golangci-lint run ./...

.PHONY: lint-python
lint-python: setup-lint ## The same for Python only
	$(lint_bin)/ruff check
	$(lint_bin)/ruff format --check
	$(lint_bin)/mypy
	$(lint_bin)/mypy --config-file clients/python/pyproject.toml

.PHONY: lint-web
lint-web: setup-web ## The same for the pages only
	cd web && node_modules/.bin/biome ci --error-on-warnings && node_modules/.bin/tsc

.PHONY: lint-prose
lint-prose: $(vale) ## The same for comments and documents only: their words, and the width of Markdown
	git ls-files -z '*.go' '*.py' '*.ts' '*.tsx' '*.md' | xargs -0 $(vale)

# It takes a minute, once: Vale has parsers in C.
$(vale): tools/vale/go.mod tools/vale/go.sum
	@scripts/setup --test
	CGO_CFLAGS='-O1 -w' go build -C tools/vale -o $(CURDIR)/$@ github.com/vale-cli/vale/v3/cmd/vale

.PHONY: format
format: setup-lint setup-web ## Format the code in Go, Python and TypeScript
	$(tool) golangci-lint fmt ./...
	$(lint_bin)/ruff format
	cd web && node_modules/.bin/biome check --write

.PHONY: setup-lint
setup-lint:
	@scripts/setup --lint

.PHONY: generate
generate: setup-web ## Regenerate code and documents from their sources
	go generate ./...

.PHONY: generate-check
generate-check: setup-web ## Fail if generated code or go.mod are out of date
	scripts/generate-check

.PHONY: vuln
vuln: ## Look for known vulnerabilities in the code that the programs call (asks the Go vulnerability database)
	$(tool) govulncheck ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: fuzz-api
fuzz-api: build ## The same as test-api, for 10 minutes
	@scripts/setup --fuzz
	scripts/fuzz-api 600

.PHONY: kernel-memory
kernel-memory: setup build ## Compare what scripts make the kernel allocate with what their jobs are charged (3 minutes)
	scripts/kernel-memory

.PHONY: bench
bench: build ## Measure dispatch, Redis commands per job, overhead over bare nsjail, and a second environment
	ENVIRONMENTS="default data-science" scripts/setup
	go run ./test/bench

.PHONY: bench-fleet
bench-fleet: setup ## Measure what a job costs Redis with 1 to 1,000 simulated workers and 1 to 4 API processes (twenty minutes)
	go run ./test/fleet

.PHONY: soak
soak: setup ## Load the service for SOAK (20 minutes) while parts die, and check that it leaks nothing
	go run ./test/soak -length $(SOAK)

.PHONY: images
images: ## Build the images: cellblock-api, cellblock-worker, and cellblock with all in one (needs Docker)
	CELLBLOCK_VERSION=$(VERSION) docker compose build
	CELLBLOCK_VERSION=$(VERSION) docker compose -f deploy/compose/single.yml build

.PHONY: install-systemd
install-systemd: ## Install bin/ and units for systemd below PREFIX (/usr/local), and print the next steps; DESTDIR for packages
	@test -x bin/api || { echo 'install-systemd: run make build first, as a user with Go' >&2; exit 1; }
	@PREFIX='$(or $(PREFIX),/usr/local)' DESTDIR='$(DESTDIR)' deploy/systemd/install

.PHONY: uninstall-systemd
uninstall-systemd: ## Remove them; settings, data and users stay
	@PREFIX='$(or $(PREFIX),/usr/local)' DESTDIR='$(DESTDIR)' deploy/systemd/install --remove

.PHONY: test-systemd
test-systemd: setup-test build ## Boot a systemd in namespaces, install the units there, and use them (two minutes)
	scripts/test-systemd

.PHONY: test-compose
test-compose: ## Test the images and compose files (needs a Docker daemon with docker compose)
	@docker compose version >/dev/null && docker info >/dev/null || { echo 'test-compose: needs a Docker daemon and docker compose; none can be reached' >&2; exit 1; }
	go test -tags compose -count=1 -timeout=20m -v ./test/compose

.PHONY: test-helm
test-helm: $(helm_tools) ## Test the Helm chart: lint, unit tests, renderings against the schemas of Kubernetes (half a minute)
	go test $(TESTFLAGS) ./test/helm

.PHONY: generate-helm
generate-helm: $(helm_tools) ## Write the README of the Helm chart from its values
	$(helm)/helm-docs --chart-search-root deploy/helm/cellblock --sort-values-order file --log-level warning

# Three minutes of a processor, once.
helm_version := -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34
$(helm_tools): $(wildcard tools/helm/*/*.go) tools/helm/go.mod tools/helm/go.sum
	@mkdir -p $(helm)
	CGO_ENABLED=0 go build -C tools/helm -ldflags='-s $(helm_version)' -o $(CURDIR)/$(helm)/ tool ./...
	$(helm)/schemas $(helm)/schemas.d
	@touch $@

.PHONY: test-kubernetes
test-kubernetes: $(helm_tools) ## Install, upgrade and remove the Helm chart in a real control plane of Kubernetes (two minutes; builds it once, twelve minutes of a processor)
	tools=$$(scripts/kubernetes-tools); KUBERNETES_TOOLS=$$tools go test $(TESTFLAGS) ./test/kubernetes/...

.PHONY: lock
lock: ## Pin the newest allowed versions in environments/*/ and deploy/python/, with hashes (needs uv)
	@# The default environment first: the others take its versions.
	for file in environments/default/requirements.in environments/*/requirements.in deploy/python/*.in; do \
		wheels=; [[ $$file != environments/* ]] || wheels='--only-binary :all:'; \
		(cd "$${file%/*}" && name=$${file##*/} && uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --upgrade $$wheels --custom-compile-command 'make lock' "$$name" -o "$${name%.in}.txt"); \
	done

.PHONY: clean
clean: ## Remove what was built (bin/, .cache/); /opt/cellblock and data stay
	rm -rf bin .cache
