# Everything there is to do with this repository. `make` alone lists it.

PYTHON ?= python3
TOOLS ?= stable
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs clean e2e machines dashboards bench-exporter

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing for demo and test, and the Python environments
	@tools/setup test

demo: ## the main job on real parts, in under 3 minutes; KEEP=1 keeps it up, TOOLS=newest
	@tools/setup demo
	@.venv/bin/python -m demo --tools $(TOOLS) $(if $(KEEP),--keep)

test: ## all that CI runs but e2e: lint, rules, and every test
	@tools/setup test
	@tools/check

e2e: ## the compose demo, real hosts with systemd, Salt, Slurm, OpenStack; needs root, brings its own Docker engines
	@tools/setup test
	@tools/setup-e2e
	@tools/engine .venv/bin/python -m pytest -v tests/e2e
	@MEMLEASH_ENGINE=installed tools/engine .venv/bin/python -m pytest -v tests/e2e/compose -k plain

machines: ## the diagnoser on aarch64 and under each Yama scope, in emulated machines; wants Debian
	@tools/setup test
	@tools/machines

dashboards: ## write grafana/dashboards from the code in grafana/
	@tools/setup test
	@.venv/bin/python -m grafana

lint: ## only the static checks: ruff, mypy, the layering
	@tools/setup test
	@tools/check lint

docs: ## the documentation's site, into site/, with every link checked
	@tools/setup docs
	@.venv/bin/mkdocs build --strict
	@echo "open site/index.html; with its search: .venv/bin/python -m http.server -d site -b 127.0.0.1"

bench-exporter: ## the exporter's cost beside process-exporter's, with the bars
	@tools/setup test
	@command -v prometheus-process-exporter >/dev/null || tools/setup packages prometheus-process-exporter
	@.venv/bin/python -m bench.exporter

bench-%: ## webhook, restart, takeover, growth or rules: what it costs, with the bars
	@tools/setup test
	@.venv/bin/python -m bench.$*

clean: ## remove what the targets made here (packages of the machine stay)
	rm -rf .venv .venv-* .cache .run site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
