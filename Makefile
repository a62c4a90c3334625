# The words of this project. People, hooks and CI run these.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
UV := .venv/bin/uv
PIP := $(UV) pip install --quiet --python .venv/bin/python

# uv takes the package index and wheel folders that pip was told of, in the environment or in its configuration.
pip_setting = $(shell $(PYTHON) -m pip config get $(1) 2>/dev/null)
export UV_DEFAULT_INDEX ?= $(or $(PIP_INDEX_URL),$(call pip_setting,global.index-url))
export UV_FIND_LINKS ?= $(or $(PIP_FIND_LINKS),$(call pip_setting,global.find-links))
