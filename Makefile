# What a developer types. `make help` lists it. Each phase of `make test` prints how long it took.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# The nodes' program is built for the engine's machine. `labd images build` builds it itself for another one.
NODE_ARCH ?= $(shell $(GO) env GOHOSTARCH)
# Labs mount disks and make networks, so what runs them needs root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo env "PATH=$$PATH")
# Tests are built as who calls, and run as root.
TEST_EXEC := $(if $(SUDO),-exec 'sudo env "PATH=$(PATH)"',)
# How the programs are built: what else compiles does it so too, and finds everything compiled.
PLAIN := CGO_ENABLED=0 GOFLAGS="$${GOFLAGS:-} -trimpath" $(GO)
# Folders with tests that only compute, which the race detector would make slow and find nothing in. phases_test.go holds them to it.
COMPUTING = $(sort $(dir $(shell grep -rlx --include='*_test.go' --exclude-dir=node_modules '//go:build !race' .)))
GO_FILES = $(shell find . -name '*.go' -not -path '*/node_modules/*' -not -path './build/*')

# $(call phase,name,command): run a command, and say what it is and how long it took.
phase = @printf '\n=== %s\n' "$(1)"; start=$$SECONDS; \
	if ( $(2) ); then printf '=== %s: ok, %d s\n' "$(1)" $$((SECONDS - start)); \
	else printf '=== %s: FAILED after %d s\n' "$(1)" $$((SECONDS - start)); exit 1; fi

.PHONY: help
help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## set this machine up (only what is missing) and serve the course; prints the URL
	@bin/labd setup
	@exec $(SUDO) bin/labd serve

.PHONY: setup
setup: build ## install and build what labs need, without serving
	@bin/labd setup

.PHONY: build
build: assets ## build bin/labd, bin/sitegen and the nodes' program
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/labd ./cmd/labd
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/sitegen ./cmd/sitegen
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(NODE_ARCH) $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o bin/labnode-linux-$(NODE_ARCH) ./cmd/labnode

.PHONY: assets
assets: site/assets/vendor/xterm.mjs ## fetch the browser libraries (npm), once

site/node_modules/.package-lock.json: site/package.json site/package-lock.json
	@echo 'npm ci (site)'
	@npm ci --prefix site --no-audit --no-fund --loglevel=error
	@touch $@

site/assets/vendor/xterm.mjs: site/node_modules/.package-lock.json site/vendor.js
	@npm run --prefix site --silent vendor
	@touch $@

e2e/node_modules/.package-lock.json: e2e/package.json e2e/package-lock.json
	@echo 'npm ci (e2e)'
	@PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix e2e --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: test
test: build ## everything that CI runs
	$(call phase,setup,bin/labd setup --tests)
	@$(MAKE) lint test-ts test-go e2e

.PHONY: test-unit
test-unit: assets ## Go tests that need neither root nor an engine
	@$(GO) test -short $$($(GO) list ./... | grep -v -e /sandbox/docker -e /sandbox/agent)

.PHONY: test-go
test-go: assets
	@mkdir -p build
	$(call phase,go test with the race detector,$(GO) test -race -count=1 -p 2 -timeout 30m -vet=off $(TEST_EXEC) ./... 2>&1 | tee build/go-test.log)
	$(call phase,go test of what only computes,$(PLAIN) test -count=1 -p 2 -timeout 30m -vet=off $(TEST_EXEC) $(COMPUTING) 2>&1 | tee -a build/go-test.log)

.PHONY: test-ts
test-ts: assets
	$(call phase,tsc,cd site && npx --no-install tsc --noEmit -p .)
	$(call phase,browser unit tests,npm test --prefix site --silent)

.PHONY: e2e
e2e: build e2e/node_modules/.package-lock.json ## the newcomer's path in a real browser; screenshots in e2e/artifacts
	$(call phase,end to end,$(SUDO) npm test --prefix e2e --silent)

.PHONY: lint
lint: assets ## gofmt, go vet, staticcheck, and the programs for other machines
	$(call phase,gofmt,out=$$(gofmt -l $(GO_FILES)); if [ -n "$$out" ]; then echo "run gofmt -w on:"; echo "$$out"; exit 1; fi)
	$(call phase,vet,$(PLAIN) vet ./...)
	$(call phase,staticcheck,$(PLAIN) tool staticcheck ./...)
	$(call phase,browser tests wait for what they ask,out=$$(grep -nE 'waitForFunction.*async' e2e/*.mjs || true); if [ -n "$$out" ]; then echo "waitForFunction takes a promise for true and does not wait; use until in e2e/page.mjs:"; echo "$$out"; exit 1; fi)
	$(call phase,labnode for arm64,CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/labnode)
	$(call phase,labd for macOS,CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/labd)

.PHONY: lab-test
lab-test: build ## prove the labs: each check fails before and passes after its solution (LAB=id for one)
	@for lab in $(if $(LAB),labs/$(LAB),labs/*/); do echo "=== $$lab"; $(SUDO) bin/labd lab test "$$lab"; done

.PHONY: bench
bench: build e2e/node_modules/.package-lock.json ## measure what a learner feels, each figure beside its floor
	@$(GO) build -trimpath -o bin/bench ./bench
	@$(SUDO) bin/bench

.PHONY: bench-site
bench-site: build ## only what authors feel: sitegen beside Hugo, which it builds once
	@$(GO) build -trimpath -o bin/bench ./bench
	@bin/bench -only build,edit,weight

.PHONY: doctor
doctor: build ## tell what this machine lacks
	@bin/labd doctor

.PHONY: clean
clean: ## remove what was built here (not the images, nor what setup installed)
	@rm -rf bin build public e2e/artifacts site/assets/vendor site/node_modules e2e/node_modules
