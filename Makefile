# Each target sets up .venv by itself; all it needs is Python 3.11 or newer with pip, make and a package registry.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test check golden bench bench-peers minilm docs

demo: .venv/core.stamp
	$(BIN)/python examples/digits/demo.py
test: .venv/dev.stamp
	$(PYTEST) -n auto --dist loadfile
check: .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" ./.ci/check
golden: .venv/dev.stamp
	$(PYTEST) tests --golden
bench: .venv/dev.stamp
	$(BIN)/python -m bench
bench-peers: .venv/dev.stamp
	$(BIN)/python -m bench --peers --repeats 1 --models resnet20 mobilenetv2 mobilenetv2_rescaled ultraface_rfb_320 fastestdet minilm
minilm: .venv/dev.stamp
	$(BIN)/python -m bench.minilm
docs: .venv/dev.stamp
	$(BIN)/python docs/generate.py

.venv/core.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[demo]" && touch $@
.venv/dev.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[dev]" && touch $@ .venv/core.stamp
