# Needs only make and a python3 of 3.11 to 3.13 with venv. Everything else goes into .venv, pinned by hash.

# A Python of one's own choice: make run PYTHON=/opt/python3.12/bin/python3
PYTHON ?=
# More for the command behind a target: make run ARGS="--port 8600", make test ARGS="tests/retrieval -x"
ARGS ?=
# Processes for the tests; 0 runs them in this one.
WORKERS ?= 0

PYTEST = .venv/bin/python -m pytest --no-fold-skipped -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help run test soak lint lint-check lint-format lint-types lint-imports lock install install-test

help:
	@echo "make run    install what is missing, then start Quoth with its sample documents"
	@echo "make test   install what is missing, then run the tests"
	@echo "make soak   the long forms of the tests"
	@echo "make lint   style, types and the direction of imports"
	@echo "make lock   resolve the dependencies anew (needs uv)"

run: install
	@.venv/bin/quoth up --sample $(ARGS)

test: install-test
	@$(PYTEST) -m "not soak" $(ARGS)

soak: install-test
	@$(PYTEST) -m soak $(ARGS)

lint: lint-check lint-format lint-types lint-imports

lint-check: install-test
	.venv/bin/python -m ruff check .
lint-format: install-test
	.venv/bin/python -m ruff format --check .
lint-types: install-test
	.venv/bin/python -m mypy -p ingest -p retrieval -p assistant -p evals -p ui
lint-imports: install-test
	.venv/bin/lint-imports

# One resolution for Python 3.11 to 3.13 and every platform. Versions that still fit are kept: delete a line, or the
# file, to let it move.
lock:
	uv pip compile --universal --generate-hashes --no-header --quiet pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --quiet --extra test -c requirements.lock \
		pyproject.toml -o requirements-test.lock

install:
	@$(with_python) .ci/install.py

install-test:
	@$(with_python) .ci/install.py --test

# Runs the rest of the line with the first Python that can make the environment.
define with_python
found=; for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	if "$$python" .ci/install.py --suitable 2>/dev/null; then found=$$python; break; fi; \
done; \
if [ -z "$$found" ]; then \
	echo "No suitable Python: Quoth needs Python 3.11 to 3.13 with venv (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		echo "  $$python: $$("$$python" --version 2>&1 | head -n 1)" >&2; \
	done; \
	echo "Name one with: make run PYTHON=/path/to/python3" >&2; \
	exit 1; \
fi; \
"$$found"
endef
