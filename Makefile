# Everything a new user needs: make run, make demo, make test. Python >= 3.11 and make are enough.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$candidate && break; done)
BIN := .venv/bin

.PHONY: run demo test browser pictures lint bench soak fuzz gpu setup openapi docs clean

run: setup
	$(BIN)/faultlight run

demo: setup
	$(BIN)/faultlight run --demo

# WHICH is a further condition on marks, for example "server".
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope \
		-m "not slow and not fuzz and not browser$(if $(WHICH), and $(WHICH))"

# Skips, visibly, where there is no Chromium, and fails in CI. FAULTLIGHT_CHROMIUM names one, FAULTLIGHT_SCREENSHOTS a
# folder for pictures.
browser: setup
	$(BIN)/python -m pytest -q -rs -m browser tests/web

# Writes the pictures of the README anew.
pictures: setup
	FAULTLIGHT_PICTURES=docs/pictures $(BIN)/python -m pytest -q -rs -m browser tests/web -k pictures

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

soak: setup
	$(BIN)/python -m pytest -q -m slow tests/kill tests/uploader

fuzz: setup
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m pytest -q -m fuzz tests

gpu: setup
	@if $(BIN)/python -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then \
		$(BIN)/python -m pytest -q -m gpu tests/analysis && $(BIN)/python -m benchmarks.fault_simulation --device cuda; \
	else \
		echo "No GPU here: torch sees no CUDA device, so nothing was tested on one. The same code ran on the CPU in make test."; \
	fi

openapi: setup
	$(BIN)/python -m services.api.contract

docs: setup
	$(BIN)/python -m services.configuration_reference > docs/reference/configuration.md
	$(BIN)/python -m instruments.vocabulary_reference > docs/reference/vocabularies.md
	$(BIN)/python -m benchmarks.formats --docs docs/formats.md > /dev/null

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Faultlight needs Python 3.11 or newer on the PATH."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

clean:
	rm -rf .venv .data .mypy_cache .ruff_cache .pytest_cache
