# Everything that is done to presignd, one target each. `make help` lists them.
#
# What is needed beforehand: a Rust toolchain, a C compiler, make, and Python 3 for the demo and the tests (curl and Go
# too, for the tests; Node, for `make proto` and `make bench`). The rest comes from the package registries into .tools/, which git ignores.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
PYTHON ?= python3
BUF := $(TOOLS)/buf/node_modules/.bin/buf
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/cargo/bin/cargo-deny
FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TOOLS)/cargo/bin/cargo-fuzz
FUZZ_TARGETS ?= arn target config key url explain
FUZZ_SECONDS ?= 30
GRPCURL_VERSION := 1.9.4
GRPCURL := $(TOOLS)/bin/grpcurl
NODE_BENCH := $(TOOLS)/bench-node
BENCH_TARGET ?= target
PROTO_BASE = $(shell git log --diff-filter=A --format=%H -- proto/presign/v1/presign.proto | tail -n 1)

export PRESIGND_TEST_PYTHON := $(VENV)/bin/python
export PRESIGND_TEST_GRPCURL := $(GRPCURL)
# Most tests wait for something most of the time.
export RUST_TEST_THREADS ?= 8

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(VENV)/.done ## Sign, upload and download against an S3 server that verifies signatures
	cargo build --release --locked
	$(VENV)/bin/python examples/demo/demo.py --presignd target/release/presignd

.PHONY: test
test: $(VENV)/.done $(GRPCURL) ## Every test
	cargo test --locked

.PHONY: bench
bench: $(VENV)/.done $(NODE_BENCH)/.done ## Measure against rivals, in about six minutes once it is built; needs two CPUs and Node
	cargo build --release --locked
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir $(BENCH_TARGET)
	$(VENV)/bin/python benches/run.py --presignd target/release/presignd --bench $(BENCH_TARGET)/release/presignd-bench \
		--python $(VENV)/bin/python --node-modules $(NODE_BENCH)/node_modules \
		--json target/bench.json --table benches/README.md $(BENCH_OPTIONS)

.PHONY: instructions
instructions: instructions-binary ## Instructions of the core for a URL, held against benches/instructions.json; needs valgrind
	$(PYTHON) benches/instructions.py target/release/instructions

.PHONY: instructions-record
instructions-record: instructions-binary ## Write the counts of instructions down
	$(PYTHON) benches/instructions.py target/release/instructions --record

.PHONY: instructions-binary
instructions-binary:
	@command -v valgrind >/dev/null || { echo "valgrind is needed: apt-get install valgrind" >&2; exit 1; }
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir target --no-default-features

# A fuzz target needs the counters of LLVM's coverage pass, which stable Rust has (-Cpasses=sancov-module), and a
# sanitizer, which only nightly has. presignd is free of unsafe code, so it is fuzzed without one: the compiler is the
# same that builds it, and RUSTC_BOOTSTRAP is not needed. Panics, broken laws, overflows, hanging and memory are findings.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Look for inputs that break a law, FUZZ_SECONDS (30) for each of FUZZ_TARGETS; needs a C++ compiler
	cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
	$(CARGO_FUZZ) build --sanitizer none --release
	CARGO_FUZZ=$(CARGO_FUZZ) fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: build
build: ## The release binary
	cargo build --release --locked

.PHONY: check
check: fmt clippy doc deny proto deploy ## Every check that is not a test

.PHONY: fmt
fmt: ## The format of the code
	cargo fmt --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml

.PHONY: clippy
clippy: ## Lints, warnings denied
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## The documentation of the library
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: deny
deny: $(DENY) ## Licences, sources and banned crates
	$(DENY) check bans licenses sources

.PHONY: proto
proto: $(BUF) ## The contract: lint, format, and no breaking change since its first version
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking --against '.git#ref=$(PROTO_BASE)'

.PHONY: deploy
deploy: $(VENV)/.done ## The files in deploy/, as far as they can be checked without a cluster
	cargo build --locked
	$(VENV)/bin/python deploy/check.py target/debug/presignd

.PHONY: clean
clean: ## Remove what was built and installed
	rm -rf target fuzz/target fuzz/corpus fuzz/artifacts $(TOOLS)

$(VENV)/.done: tests/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(GRPCURL):
	GOBIN=$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v$(GRPCURL_VERSION)

$(BUF): .ci/buf/package-lock.json
	mkdir -p $(TOOLS)/buf
	cp .ci/buf/package.json .ci/buf/package-lock.json $(TOOLS)/buf/
	npm ci --prefix $(TOOLS)/buf --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(NODE_BENCH)/.done: benches/node/package-lock.json
	mkdir -p $(NODE_BENCH)
	cp benches/node/package.json benches/node/package-lock.json $(NODE_BENCH)/
	npm ci --prefix $(NODE_BENCH) --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(DENY):
	cargo install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(TOOLS)/cargo \
		--target-dir $(TOOLS)/cargo-build

$(CARGO_FUZZ):
	cargo install cargo-fuzz --locked --version $(FUZZ_VERSION) --root $(TOOLS)/cargo --target-dir $(TOOLS)/cargo-build
