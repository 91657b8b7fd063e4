# The few commands that people and CI share. Each is a script in tools/, which says how.

.PHONY: help start test lint bench lock environment
.DEFAULT_GOAL := help

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile | expand -t 16

start: environment  ## serve the lake in var/lake on 127.0.0.1:8080 (LISTEN=HOST:PORT), making both if need be
	@tools/start

test: environment  ## lint, then run all tests (TESTS="tests/storage -k append" for some, -n 0 for one at a time)
	@tools/install-debian-packages
	@tools/lint
	@.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(TESTS)

lint: environment  ## check style, types, layers and spelling
	@tools/lint

bench: environment  ## measure, each figure beside a reference of the same run
	@.venv/bin/python -m bench

# .venv, bin/ebulk and bin/wendelin, where they aren't up to date
environment:
	@tools/make-environment

lock:  ## write the lock files anew (UPGRADE=--upgrade for newer versions)
	@tools/lock
