# `make help` explains the targets. Every one sets up what it needs by itself.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where the sandbox's Python and nsjail are. The programs read it as well.
export CELLBLOCK_PREFIX ?= /opt/cellblock

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s
TESTFLAGS ?= -count=1 -timeout=30m

sandbox_python := $(CELLBLOCK_PREFIX)/bin/python
lint_bin := .cache/lint/bin
tool := go tool -modfile=tools/go.mod

.PHONY: help
help: ## Show this list
	@printf 'Usage: make TARGET [SETTING=value]\n\nTargets:\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nSettings:\n'
	@printf '  %-16s %s\n' \
		CELLBLOCK_PREFIX "the sandbox's Python and nsjail ($(CELLBLOCK_PREFIX))" \
		API_ADDR "address that make run serves on (127.0.0.1:8080)" \
		REDIS_URL "for make run: use this Redis instead of its own" \
		FUZZTIME "how long make fuzz spends on each target ($(FUZZTIME))" \
		TESTFLAGS "flags for go test ($(TESTFLAGS))"
	@printf '\nMore settings of the programs: bin/cellblock up --help, bin/api --help, bin/worker --help\n'

.PHONY: run
run: setup build ## Install what is missing, build, and serve on 127.0.0.1:8080 until Ctrl-C
	@exec bin/cellblock up

.PHONY: setup
setup: ## Install what is missing: redis-server, and the sandbox's Python in /opt/cellblock
	@scripts/setup

.PHONY: build
build: ## Build bin/api, bin/worker and bin/cellblock
	@mkdir -p bin
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: test
test: setup-test test-go test-python ## Run every test: Go with the race detector, Python, real Redis and nsjail

.PHONY: setup-test
setup-test:
	@scripts/setup --test

.PHONY: test-go
test-go: setup-test ## Run the Go tests only
	go vet ./...
	go test -race $(TESTFLAGS) $$(go list ./... | grep -v /test/faults)

.PHONY: test-faults
test-faults: setup-test ## Break each part of a running service under load, and count what went wrong (7 minutes)
	go test -C test/faults -count=1 -timeout 10m

.PHONY: test-python
test-python: setup ## Run the runner's own tests only, with the sandbox's Python
	cd runner && $(sandbox_python) -B -m unittest discover

.PHONY: lint
lint: lint-go lint-python ## Check style and import arrows: golangci-lint, ruff, mypy

.PHONY: lint-go
lint-go: ## The same for Go only
	$(tool) golangci-lint run ./...

.PHONY: lint-python
lint-python: setup-lint ## The same for Python only
	$(lint_bin)/ruff check
	$(lint_bin)/ruff format --check
	$(lint_bin)/mypy

.PHONY: format
format: setup-lint ## Format the Go and the Python code
	$(tool) golangci-lint fmt ./...
	$(lint_bin)/ruff format

.PHONY: setup-lint
setup-lint:
	@scripts/setup --lint

.PHONY: generate
generate: ## Make the generated code anew from api/openapi.yaml
	go generate ./...

.PHONY: generate-check
generate-check: ## Fail if generated code or go.mod are not what they would be made to
	scripts/generate-check

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the programs call (asks the Go vulnerability database)
	$(tool) govulncheck ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: bench
bench: setup build ## Measure dispatch, Redis commands per job and overhead over bare nsjail
	go run ./test/bench

.PHONY: lock
lock: ## Pin the newest allowed versions in deploy/python/*.txt, with hashes (needs uv)
	cd deploy/python && for name in requirements requirements-dev; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
			--custom-compile-command 'make lock' "$$name.in" -o "$$name.txt"; \
	done

.PHONY: clean
clean: ## Remove what was built (bin/, .cache/); /opt/cellblock and data stay
	rm -rf bin .cache
