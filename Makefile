# The commands of this project; people, hooks and CI use the same ones. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?= 3000
JOBS ?= 2
VENV := $(or $(TUNEGATE_VENV),.venv)
ENVIRONMENT := $(PYTHON) requirements/environment.py
# What only the repository of tunegate itself has.
OWN := $(wildcard pyproject.toml)

export PATH := $(abspath $(VENV))/bin:$(PATH)
# No library that we start reports home.
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True
export GX_ANALYTICS_ENABLED := false
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.PHONY: help setup demo test test-image check docs lock serve image clean secrets
.PHONY: env-pipeline env-serve env-dev

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 12

setup: env-dev ## make .venv from the lock, with everything that developing needs

demo: env-pipeline ## run the whole pipeline, then show the metrics, compared with the untuned model
	@dvc repro
	@tunegate summary

test: env-dev ## run every test; none uses the network
	@HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE= pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 10 --durations-min 1

test-image: env-dev ## build a container image and send it a request; needs a package index
	@pytest -m image

check: env-dev secrets ## style, types, architecture, words, dvc.yaml against params and docs, workflows, secrets
	@ruff check --quiet $(if $(OWN),.,src)
	@$(if $(OWN),ruff format --check --quiet)
	@$(if $(OWN),mypy)
	@tunegate params docs --check
	@pytest -q $(wildcard $(patsubst %,tests/test_%.py,project house rooms words architecture))
	@check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@zizmor --offline --quiet --no-progress .github/workflows

secrets: env-dev ## look for passwords and keys in the files that git tracks
	@git ls-files -z | xargs -0 detect-secrets-hook --no-verify --baseline .secrets.baseline

docs: env-dev ## write docs/params.md
	@tunegate params docs

lock: ## resolve pyproject.toml into requirements/*.txt
	@$(ENVIRONMENT) lock
	@$(MAKE) env-pipeline
	@tunegate keys

serve: env-serve ## serve the pipeline's package on this machine only (PORT=3000)
	@bentoml serve . --host 127.0.0.1 --port $(PORT)

image: env-serve ## build the container image of the pipeline's package
	@tunegate image build

clean: ## drop caches of tools; keeps .venv, models and DVC's cache
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

env-pipeline env-serve env-dev: env-%:
	@MAKECMDGOALS="$(MAKECMDGOALS)" $(ENVIRONMENT) $*
# The later steps of a job on GitHub Actions find `tunegate` as in an activated environment.
	@if [ -n "$${GITHUB_PATH:-}" ]; then echo "$(abspath $(VENV))/bin" >> "$$GITHUB_PATH"; fi
