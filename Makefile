# What a person types. Everything that is run is pinned: the product in go.mod, the tools in tools/go.mod, Consul in consul/go.mod.
# Needed beforehand: Go and git; for the tests also PostgreSQL, RabbitMQ (see `make services`).

SHELL := /bin/bash
GO    ?= go
TOOL  := $(GO) tool -modfile=tools/go.mod
CONSUL ?= $(CURDIR)/bin/consul

# A test finds its Consul here; every other CLEAVE_TEST_ variable comes from .ci/services.
export CLEAVE_TEST_CONSUL ?= $(CONSUL)

# With the servers that the tests need: those that answer already, and private ones, ended afterwards, for those that don't.
WITH_SERVICES := .ci/services run

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: ## run the whole shop in one process, on nothing but itself
	$(GO) run ./cmd/cleave up

.PHONY: build
build: ## build bin/cleave, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/cleave ./cmd/cleave

.PHONY: test
test: $(CLEAVE_TEST_CONSUL) ## every test, with a real PostgreSQL, NATS, RabbitMQ and Consul
	$(WITH_SERVICES) $(GO) run ./test/prove -all

.PHONY: race
race: $(CLEAVE_TEST_CONSUL) ## the same under the race detector, in a random order
	$(WITH_SERVICES) $(GO) run ./test/prove -all -race

.PHONY: prove-system
prove-system: $(CLEAVE_TEST_CONSUL) ## break a running system and print what its users noticed, as figures
	$(WITH_SERVICES) $(GO) run ./test/prove -what system

.PHONY: prove-shop
prove-shop: $(CLEAVE_TEST_CONSUL) ## break the shop at every step while customers buy, and check the laws of its data
	$(WITH_SERVICES) $(GO) run ./test/prove -what shop

.PHONY: prove-resilience
prove-resilience: $(CLEAVE_TEST_CONSUL) ## hang the payments and overload the shop, with the chassis' defaults and without, and print what users noticed (about nine minutes)
	CLEAVE_CASCADE_SVG="$(CURDIR)/docs/cascade.svg" $(WITH_SERVICES) $(GO) run ./test/prove -what resilience

.PHONY: prove-topology
prove-topology: $(CLEAVE_TEST_CONSUL) ## move modules ten times each while customers buy, then measure calls beside their peers
	$(WITH_SERVICES) $(GO) run ./test/prove -what topology

.PHONY: prove-edge
prove-edge: $(CLEAVE_TEST_CONSUL) ## change the gateway under load, put it beside others, and fuzz it for ten minutes each (over an hour on two processors; wants wrk, nginx, haproxy)
	ulimit -n "$$(ulimit -Hn)"; $(WITH_SERVICES) $(GO) run ./test/prove -what edge

.PHONY: bench
bench: ## compare calls with those of other stacks, side by side, and draw docs/bench.svg (about seven minutes)
	$(GO) -C bench run . -svg ../docs/bench.svg

.PHONY: bench-shop
bench-shop: ## measure the checkout, from 1 to 64 buyers, on SQLite and PostgreSQL (about three minutes)
	$(WITH_SERVICES) $(GO) -C bench run ./shop -svg ../docs/checkout.svg

.PHONY: bench-placement
bench-placement: $(CLEAVE_TEST_CONSUL) ## measure the shop in one process against one process for each module (about three minutes)
	$(GO) -C bench run ./shop -what placement

.PHONY: bench-growth
bench-growth: $(CLEAVE_TEST_CONSUL) ## measure a call against the modules on its path and the instances in Consul, and draw docs/growth.svg (about four minutes)
	$(GO) -C bench run ./growth -svg ../docs/growth.svg

.PHONY: bench-edge
bench-edge: ## put the gateway beside nginx, HAProxy, Caddy, Traefik, KrakenD, grpc-gateway and vanguard, and draw docs/edge.svg (about four minutes)
	$(GO) -C bench run ./edge -svg ../docs/edge.svg

FUZZTIME ?= 30s

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME (30s)
	@set -euo pipefail; \
	git ls-files -- '*_test.go' | { xargs grep -Eo '^func Fuzz[A-Za-z0-9_]*' || true; } | sed 's/:func /:/' | while IFS=: read -r file name; do \
		echo "fuzz $$name in $$(dirname "$$file")"; \
		$(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "./$$(dirname "$$file")" </dev/null; \
	done

.PHONY: lint
lint: ## the linters, and the contracts' own
	$(TOOL) golangci-lint run ./...
	$(TOOL) buf lint
	$(TOOL) buf format --diff --exit-code --path proto/shop --path proto/cleave

.PHONY: generate
generate: ## make the Go of the contracts anew
	$(TOOL) buf format --write --path proto/shop --path proto/cleave
	$(TOOL) buf generate

# Would a client that was built with the contracts of another commit still be understood? AGAINST is a branch, a tag or a commit.
AGAINST ?= main

.PHONY: breaking
breaking: ## compare the contracts with those of AGAINST (main)
	$(TOOL) buf breaking --against '.git#ref=$(AGAINST)'

.PHONY: tidy-check
tidy-check: ## fail when a go.mod or go.sum is not what `go mod tidy` makes
	$(GO) mod tidy -diff
	$(GO) -C tools/micro mod tidy -diff
	$(GO) -C tools/stripemock mod tidy -diff
	$(GO) -C bench mod tidy -diff
	$(GO) -C tools/h2spec mod tidy -diff
	$(GO) -C tools/oapi mod tidy -diff
	$(GO) -C tools/clients mod tidy -diff

.PHONY: verify
verify: ## check every downloaded module against go.sum
	$(GO) mod verify
	$(GO) -C tools/micro mod verify
	$(GO) -C tools/stripemock mod verify
	$(GO) -C bench mod verify
	$(GO) -C tools/h2spec mod verify
	$(GO) -C tools/oapi mod verify
	$(GO) -C tools/clients mod verify

.PHONY: consul
consul: $(CONSUL) ## build Consul (about five minutes the first time) and run a development agent on 127.0.0.1:8500
	cd consul && $(CONSUL) agent -dev -config-file agent.hcl

.PHONY: consul-mesh
consul-mesh: $(CONSUL) ## the same with ACLs and intentions that deny what nobody has allowed, for cleave up --registry consul --mesh
	cd consul && $(CONSUL) agent -dev -config-file agent.hcl -config-file agent-acl.hcl

$(CURDIR)/bin/consul: consul/go.mod consul/go.sum
	@echo "building Consul; about five minutes the first time" >&2
	$(GO) -C consul build -o $@ github.com/hashicorp/consul

.PHONY: services
services: ## say which of the tests' servers answer, and start nothing
	.ci/services status

# The folder is closed to everyone else; the files are open, since the containers' own user has to read them.
.PHONY: secrets
secrets: ## make the passwords that docker-compose.yml reads, once
	@set -euo pipefail; umask 022; mkdir -p secrets; chmod 700 secrets; \
	password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }; \
	[ -s secrets/postgres_password ] || password >secrets/postgres_password; \
	[ -s secrets/customer_secret ] || password >secrets/customer_secret; \
	for m in catalog inventory pricing payment cart order fulfilment customer notification webhook; do \
		[ -s secrets/$${m}_data_url ] || printf 'postgres://%s:%s@postgres:5432/cleave?sslmode=disable' "$$m" "$$(password)" >secrets/$${m}_data_url; \
	done

.PHONY: compose
compose: secrets ## every part in its container
	docker compose up --build --wait

.PHONY: clean
clean: ## delete what was built, and the data of `cleave up`
	rm -rf bin .cleave
