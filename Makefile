# `make demo` and `make test` set up what they need on Debian 12 with Go and root.
SHELL := /bin/bash -o pipefail
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: all build setup setup-test demo test unit e2e lint vuln conformance bench bench-list bench-task bench-layer bench-resume bench-input bench-play bench-copy bench-key docs clean help

all: build

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## bin/farm, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/farm ./cmd/farm

setup: ## install libvirt, QEMU and the tools that build images
	./scripts/setup run

setup-test: ## the same, and what the tests need beside
	./scripts/setup test

demo: setup build ## build and test the example project on Debian amd64 and arm64
	./bin/farm run examples/quickstart/inventory.yaml --vars examples/quickstart/vars/project.yaml

test: export NO_SKIP = 1
test: setup-test lint unit e2e vuln ## everything that CI runs; what cannot be tested here fails

unit: ## tests that need no guest
	go test -race ./...

e2e: build ## tests in real guests, under libvirt
	go test -tags e2e -count 1 -timeout 40m -v ./e2e/...

lint: ## gofmt, vet, staticcheck
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not as gofmt has it: $$bad" >&2; exit 1; }
	go vet ./...
	go vet -tags e2e ./e2e/...
	go run $(STATICCHECK) ./...

vuln: ## known vulnerabilities, where the database can be reached
	@GOBIN=$(CURDIR)/bin go install $(GOVULNCHECK)
	@./bin/govulncheck ./... || { status=$$?; [ $$status != 3 ] || exit $$status; echo "govulncheck: no database to be had; skipped"; }

conformance: ## task files by ansible-playbook and by farm, and what differs
	./scripts/setup conformance
	go run ./conformance

bench: bench-list bench-input bench-key bench-task bench-layer ## all benchmarks, each with its ratio

bench-list: build ## listing 10,000 and 100,000 VMs
	go run ./bench/list

bench-input: build ## refusing the worst files
	go run ./bench/input

bench-task: ## the cost of a task against a bare round trip, ansible and mitogen
	./scripts/setup bench
	go run ./bench/task

bench-layer: build ## a cached run against the guest's own boot time
	go run ./bench/layer

bench-resume: build ## resuming a guest from its memory against its boot, and against virsh restore
	go run ./bench/resume

bench-key: ## the keys of the states that 1,000 VMs want
	go run ./bench/key

bench-play: ## a playbook of 20 tasks on 1,000 hosts
	go run ./bench/play

bench-copy: ## a large file into a guest against scp
	go run ./bench/copy

docs: ## renew the pages of docs/reference that come from the code
	go run ./scripts/gendocs
	go test ./cmd/farm -run TestCommandPageIsCurrent -update

clean: ## remove what was built
	rm -rf bin
