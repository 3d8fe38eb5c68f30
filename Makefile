# Two commands from a fresh clone, on Debian or Ubuntu with Python 3.11+, make and pip:
#   make demo    render a synthetic six-camera drive, distil a student on it, compile it, play it: out/demo/index.html
#   make test    ruff, mypy, pytest (CPU, no network, a few minutes)
# Both create .venv and install into it when it is missing or when the declared dependencies changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := train,evaluation,sim,openvino,tensorrt-rtx,dev,crosscheck

# The name of the stamp carries the content of what was installed, so a checkout that only touches
# time stamps does not reinstall, and an installed environment works without a network.
INSTALLED := $(VENV)/installed-$(shell cat pyproject.toml setup.py constraints.txt | cksum | tr ' ' '-')

# One thread per test worker: two workers share the machine without fighting over it.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=2 HF_HUB_OFFLINE=1
TEST_WORKERS ?= 2

.PHONY: demo test test-fast lint typecheck format install clean

demo: $(INSTALLED)
	$(BIN)/python tools/demo.py --out out/demo

test: lint typecheck
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -q -n $(TEST_WORKERS)

# Without the whole-way tests (the demo in small, checkpoint to benchmark, worker processes): for the edit loop.
test-fast: $(INSTALLED)
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -q -n $(TEST_WORKERS) -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(INSTALLED)

# Debian keeps ensurepip in python3-venv; without it the machine's own pip (22.3 or newer) fills the new environment.
$(INSTALLED): | check-python
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE_VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps nuscenes-devkit \
	  || echo "nuscenes-devkit did not install: the tests that compare with it will be skipped"
	rm -f $(VENV)/installed-*
	touch $@

define MAKE_VENV
{ if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear $(VENV); \
  else $(PYTHON) -m venv --clear --without-pip $(VENV) && \
    $(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check pip; fi; }
endef

.PHONY: check-python
check-python:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "surround_depth needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=python3.11 ..."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  $(PYTHON) -m pip --python $(PYTHON) --version >/dev/null 2>&1 || \
	  { echo "'$(PYTHON)' can fill no environment: apt-get install python3-venv, or python3-pip (22.3 or newer)"; exit 1; }

clean:
	rm -rf out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
