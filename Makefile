# Commands for developers; `make help` lists them. Each phase of `make test` prints its duration.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# labnode is built for the Docker host's architecture. `labd images build` cross-compiles it for others.
NODE_ARCH ?= $(shell $(GO) env GOHOSTARCH)
# Labs mount disks and create networks, which needs root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo env "PATH=$$PATH")
# Tests are compiled as the calling user and run as root.
TEST_EXEC := $(if $(SUDO),-exec 'sudo env "PATH=$(PATH)"',)
# Flags of the release builds. Other compilations use the same flags to share the build cache.
PLAIN := CGO_ENABLED=0 GOFLAGS="$${GOFLAGS:-} -trimpath" $(GO)
# Packages with CPU-bound tests that run without the race detector; see "Tests" in CONTRIBUTING.md.
COMPUTING = $(sort $(dir $(shell grep -rlx --include='*_test.go' --exclude-dir=node_modules '//go:build !race' .)))
GO_FILES = $(shell find . -name '*.go' -not -path '*/node_modules/*' -not -path './build/*')

# $(call phase,name,command): run a command and print its name and duration.
phase = @printf '\n=== %s\n' "$(1)"; start=$$SECONDS; \
	if ( $(2) ); then printf '=== %s: ok, %d s\n' "$(1)" $$((SECONDS - start)); \
	else printf '=== %s: FAILED after %d s\n' "$(1)" $$((SECONDS - start)); exit 1; fi

.PHONY: help
help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## install what is missing on this machine and serve the course; prints the URL
	@bin/labd setup
	@exec $(SUDO) bin/labd serve

.PHONY: setup
setup: build ## install and build what labs need, without serving
	@bin/labd setup

.PHONY: build
build: assets ## build bin/labd, bin/sitegen and labnode
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/labd ./cmd/labd
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/sitegen ./cmd/sitegen
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(NODE_ARCH) $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o bin/labnode-linux-$(NODE_ARCH) ./cmd/labnode

.PHONY: assets
assets: site/assets/vendor/xterm.mjs ## fetch the browser libraries from npm

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
	$(call phase,go test of CPU-bound tests without it,$(PLAIN) test -count=1 -p 2 -timeout 30m -vet=off $(TEST_EXEC) $(COMPUTING) 2>&1 | tee -a build/go-test.log)

.PHONY: test-ts
test-ts: assets
	$(call phase,tsc,cd site && npx --no-install tsc --noEmit -p .)
	$(call phase,browser unit tests,npm test --prefix site --silent)

.PHONY: e2e
e2e: build e2e/node_modules/.package-lock.json ## browser tests; screenshots in e2e/artifacts
	$(call phase,end to end,$(SUDO) npm test --prefix e2e --silent)

.PHONY: lint
lint: assets ## gofmt, go vet, staticcheck, cross-compilation
	$(call phase,gofmt,out=$$(gofmt -l $(GO_FILES)); if [ -n "$$out" ]; then echo "run gofmt -w on:"; echo "$$out"; exit 1; fi)
	$(call phase,vet,$(PLAIN) vet ./...)
	$(call phase,staticcheck,$(PLAIN) tool staticcheck ./...)
	$(call phase,browser tests wait for conditions,out=$$(grep -nE 'waitForFunction.*async' e2e/*.mjs || true); if [ -n "$$out" ]; then echo "waitForFunction treats a promise as true and does not wait; use until from e2e/page.mjs:"; echo "$$out"; exit 1; fi)
	$(call phase,labnode for arm64,CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/labnode)
	$(call phase,labd for macOS,CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/labd)

.PHONY: lab-test
lab-test: build ## run labs on real nodes: each check must fail before its solution and pass after it (LAB=id for one)
	@for lab in $(if $(LAB),labs/$(LAB),labs/*/); do echo "=== $$lab"; $(SUDO) bin/labd lab test "$$lab"; done

.PHONY: conformance
conformance: build ## compare nodes of each profile with a plain Docker engine (20 minutes)
	@$(SUDO) env LABD_CONFORMANCE=full $(GO) test -count=1 -timeout 80m -run TestANodeBehavesLikeADockerHost ./sandbox/docker

.PHONY: fidelity
fidelity: ## write docs/fidelity.md from the differences that the conformance scripts name
	@LABD_FIDELITY=$(CURDIR)/docs/fidelity.md $(GO) test -count=1 -run TestThePageOfDifferences ./sandbox/conformance

.PHONY: bench
bench: build e2e/node_modules/.package-lock.json ## benchmark user-visible latency against a baseline
	@$(GO) build -trimpath -o bin/bench ./bench
	@$(SUDO) bin/bench

.PHONY: bench-site
bench-site: build ## benchmark sitegen against Hugo, which is built once
	@$(GO) build -trimpath -o bin/bench ./bench
	@bin/bench -only build,edit,weight

.PHONY: doctor
doctor: build ## report what this machine is missing
	@bin/labd doctor

.PHONY: clean
clean: ## remove build results (keeps images and installed packages)
	@rm -rf bin build public e2e/artifacts site/assets/vendor site/node_modules e2e/node_modules
