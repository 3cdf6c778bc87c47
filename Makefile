# What a person does with this repository; `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
VENV := tests/.venv
REQUIREMENTS := tests/apps/python/requirements.txt
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run story test test-deps conformance lint

help: ## list what there is to make
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: ## an order-processor beside the sidecar, on the embedded store; Ctrl-C ends both
	@$(CARGO) build --bin outrigger --example order-processor
	@exec "$(TARGET_DIR)/debug/outrigger" run --app-id order-processor \
		-- "$(TARGET_DIR)/debug/examples/order-processor"

story: ## the outage story with a real Redis, in about a minute
	@$(MAKE) --no-print-directory redis
	@$(MAKE) --no-print-directory venv || echo "no Python SDK: the Rust order-processor does it"
	@$(CARGO) build --bin outrigger --example order-processor
	@TARGET_DIR="$(TARGET_DIR)" bash tests/apps/story.sh

test: test-deps ## everything: installs what the tests need and runs them
	$(CARGO) test --locked

test-deps: redis venv ## redis-server and the Python SDK that the tests talk to

conformance: redis ## what a real daprd answered, replayed; SIDECAR=PATH replays it against another binary
	@OUTRIGGER_CONFORMANCE_SIDECAR="$(SIDECAR)" $(CARGO) test --locked --quiet --test conformance \
		what_daprd_answered -- --nocapture

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

.PHONY: redis
redis:
	@command -v redis-server > /dev/null || { \
		command -v apt-get > /dev/null || { echo "install redis-server, please"; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		$(ROOT) apt-get update -qq; \
		$(ROOT) apt-get install -y -qq --no-install-recommends redis-server; \
	}

# The copy of the requirements is made last, so that a half-built environment is built anew.
.PHONY: venv
venv:
	@cmp -s $(REQUIREMENTS) $(VENV)/requirements.txt || { \
		rm -rf $(VENV); \
		python3 -m venv $(VENV) || { \
			rm -rf $(VENV); \
			command -v apt-get > /dev/null || exit 1; \
			$(ROOT) apt-get update -qq; \
			$(ROOT) apt-get install -y -qq --no-install-recommends python3-venv; \
			python3 -m venv $(VENV); \
		}; \
		$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS); \
		cp $(REQUIREMENTS) $(VENV)/requirements.txt; \
	}
