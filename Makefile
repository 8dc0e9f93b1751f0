# Thin front door: everything real is in meson.build and scripts/. `make help` lists the targets.
# PATH is the plain system path: a developer's own python, node or PostgreSQL must not change the result.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin
SHELL := /bin/bash
BUILD ?= build
DIR ?= run
PREFIX ?= /usr/local

.PHONY: all run check quick bench soak fuzz mutate format install clean help deps deps-check

all: $(BUILD)/build.ninja ## build everything into build/
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) $(MESON_ARGS)

deps: ## install what `make run` needs (as root; else print the apt line)
	@scripts/install-deps run

deps-check:
	@scripts/install-deps check

run: all ## start all six regions here and stay until Ctrl-C
	@$(BUILD)/wildcam up --fleet fleet.yaml --dir $(DIR)

check: deps-check ## every test: gcc, clang, sanitizers, lint, integration
	@scripts/check

quick: deps-check ## unit tests and lint only, gcc
	@scripts/check --quick

bench: deps-check ## measurements behind docs/benchmarks.md
	@scripts/bench

soak: deps-check ## long random runs: simulator, fuzzers, drills
	@scripts/soak

fuzz: deps-check ## libFuzzer on every parser, FUZZ_SECONDS each (default 60)
	@scripts/fuzz

mutate: deps-check ## breaks each rule of the core and of the databases' SQL in turn: some test must notice (an hour)
	@scripts/mutate
	@scripts/mutate-rows

format: ## clang-format over the tree
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all ## install into PREFIX (default /usr/local), DESTDIR respected
	@meson configure $(BUILD) --prefix $(PREFIX) && DESTDIR=$(DESTDIR) meson install -C $(BUILD)

clean: ## remove build folders (the state folder run/ stays)
	@rm -rf build build-*

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12
