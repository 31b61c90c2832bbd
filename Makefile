# SPDX-License-Identifier: Apache-2.0
# Thin on purpose: meson does the building, scripts under tests/, perf/ and deploy/ do the rest.

BUILD ?= build
MESON_ARGS ?=
TEST_ARGS ?=

.PHONY: all setup build demo check unit e2e arm64 bench gate lint format install clean

all: build

setup: ## packages, hugepages, /dev/net/tun, bpffs (as root on Debian 12); safe to repeat
	./deploy/setup

$(BUILD)/build.ninja:
	meson setup $(MESON_ARGS) $(BUILD)

build: $(BUILD)/build.ninja ## compile everything
	ninja -C $(BUILD)

demo: setup ## three nodes in network namespaces, shown working
	$(MAKE) build
	./tests/e2e/demo --build $(BUILD)

check: setup ## build and run all tests
	$(MAKE) build
	./tests/run --build $(BUILD) $(TEST_ARGS)

unit: build ## unit tests only; needs no root
	./tests/run --build $(BUILD) unit

e2e: build ## end-to-end tests only; as root
	./tests/run --build $(BUILD) e2e

arm64: ## build for arm64, unit tests under qemu-user; fetches arm64 packages by apt, so no part of check
	./tests/arm64

bench: build ## cycles a packet and comparisons with the kernel
	./perf/run --build $(BUILD)

gate: build ## instructions a packet of fixed scenarios, against perf/gate.json
	./perf/gate --build $(BUILD)

lint: build ## formatting, headers that compile alone, clang-tidy, layering
	./tests/lint $(BUILD)

format: ## rewrite all C sources as .clang-format says
	git ls-files '*.c' '*.h' | xargs clang-format -i

install: build ## PREFIX by meson (/usr/local)
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
