# The two commands are `make demo` and `make test`; both install what they need and can be run again at once.
SHELL := /bin/bash
LAB := lab/lab

.PHONY: install lab-up lab-down demo test check quick-test lab-test bench

install:
	./install

lab-up: install
	$(LAB) up

lab-down:
	$(LAB) down

demo: lab-up
	$(LAB) run demo/run

test: check quick-test lab-test

check: install
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

quick-test: install
	.venv/bin/pytest -m "not lab" -q -n 2

lab-test: lab-up
	$(LAB) run .venv/bin/pytest -m lab -v --durations=15

# Longshore's copies against others' on the same endpoints, in turn; in the lab when it is up, for the case with Ceph.
bench: install
	if $(LAB) status >/dev/null; then $(LAB) run .venv/bin/python bench/copying.py; else .venv/bin/python bench/copying.py; fi
