# Every target sets up what it needs in .venv the first time; ARGS are handed on (make test ARGS="-k ledger").
.PHONY: help demo test check bench e2e clean venv
unexport PYTHONHOME PYTHONPATH
python = .venv/bin/python

help:
	@echo "make demo    run a small real service and show what was received from it over the wire"
	@echo "make test    run the tests"
	@echo "make check   formatting, lint, types, and the contracts between the layers"
	@echo "make bench   measure what aiotel costs, beside others, in one run"
	@echo "make e2e     run the tests of whole programs only"
	@echo "make clean   remove what the others made"

demo: venv
	@$(python) -m aiotel demo $(ARGS)

test: venv
	@$(python) -m pytest $(ARGS)

check: venv
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy
	.venv/bin/lint-imports --no-logo

bench: venv
	@$(python) -m tests.bench $(ARGS)

e2e: venv
	@$(python) -m pytest tests/e2e $(ARGS)

clean:
	rm -rf .venv .venvs .venv.lock .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find aiotel tests -name __pycache__ -prune -exec rm -rf {} +

venv:
	@sh .ci/venv
