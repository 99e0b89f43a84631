# Each target is one line; what it runs also works by hand. `make help` lists them.
STACK ?= dev
# A cluster of your own: `make up CONTEXT=kind-kind REGISTRY=localhost:5001`. Unset, the stack file says which.
CONTEXT ?=
REGISTRY ?=
# More for a command of promotion, as in `make canary ARGS='--replicas 2'`; for `traffic` and `rollback`, where to.
ARGS ?=
TO ?=
NAME ?=

PYTHON := .venv/bin/python
LAB := $(PYTHON) -m lab
TARGET = --stack $(STACK) $(if $(CONTEXT),--context $(CONTEXT))
PROMOTION = eval "$$($(LAB) env $(TARGET))" && $(PYTHON) -m promotion
SETTINGS = $(if $(CONTEXT),--set kubeContext=$(CONTEXT)) $(if $(REGISTRY),--set registry=$(REGISTRY))

CHECKS = .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/pyright
# Two processes; tests that share a stack stay in one.
PARALLEL = --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help up down preview status canary verdict promote rollback release traffic history diagnose stack unstack env image scan test unit soak lint format clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

up: .venv/ready ## bring the stack up; the first time, get or build all it needs
	@$(LAB) up $(TARGET) && $(PROMOTION) up --stack $(STACK) $(SETTINGS)

down: .venv/ready ## destroy the stack and take the lab away
	@$(PROMOTION) down --stack $(STACK); status=$$?; $(LAB) down $(TARGET) && exit $$status

preview: .venv/ready ## show what `up` would do; OUTPUT=markdown for a pull request
	@$(PROMOTION) preview --stack $(STACK) $(if $(OUTPUT),--output $(OUTPUT)) $(ARGS)

status: .venv/ready ## show what the stack runs
	@$(PROMOTION) status --stack $(STACK) $(ARGS)

canary: .venv/ready ## put what is built from source on trial beside stable; another image by ARGS
	@$(PROMOTION) canary --stack $(STACK) $(ARGS)

verdict: .venv/ready ## try the canary; an unhealthy one is taken back
	@$(PROMOTION) verdict --stack $(STACK) $(ARGS)

promote: .venv/ready ## stable takes the canary's image
	@$(PROMOTION) promote --stack $(STACK) $(ARGS)

rollback: .venv/ready ## take the canary back, or stable: TO=release or digest
	@$(PROMOTION) rollback --stack $(STACK) $(if $(TO),--to $(TO)) $(ARGS)

release: .venv/ready ## canary, verdict and promotion in one
	@$(PROMOTION) release --stack $(STACK) $(ARGS)

traffic: .venv/ready ## whose pods the users meet: TO=split, stable or canary
	@$(PROMOTION) traffic --stack $(STACK) $(TO) $(ARGS)

history: .venv/ready ## who moved what when
	@$(PROMOTION) history --stack $(STACK) $(ARGS)

diagnose: .venv/ready ## what is wrong, why, and what mends it
	@$(PROMOTION) diagnose --stack $(STACK) $(ARGS)

stack: .venv/ready ## a release stack NAME of one's own on the platform of STACK
	@$(PROMOTION) stack --name "$(NAME)" --platform $(STACK) $(ARGS)

unstack: .venv/ready ## destroy the release stack NAME, and nothing of its platform
	@$(PROMOTION) unstack --name "$(NAME)" $(ARGS)

env: .venv/ready ## print what a shell needs for pulumi and kubectl: eval "$(make env)"
	@$(LAB) env $(TARGET)

image: .venv/ready ## build REPOSITORY's image once and test it from within; PUSH=--push pushes it
	@eval "$$($(LAB) env $(TARGET))" && $(PYTHON) -m pipeline image --repository $(REPOSITORY) $(PUSH)

scan: .venv/ready ## faults in the workflows, known vulnerabilities of all dependencies (lint has the code's)
	@.venv/bin/zizmor --offline --config .github/zizmor.yml .github && $(PYTHON) -m pipeline scan

test: .venv/ready ## lint, types and tests in two processes, on a lab that is started if none runs
	-@$(LAB) up --tools-only --postgres
	@$(CHECKS) && $(PYTHON) -m pytest $(PARALLEL) $(TESTS)

unit: .venv/ready ## unit tests only
	@$(PYTHON) -m pytest -q $(PARALLEL) tests/unit

soak: .venv/ready ## long tests, before a version is tagged; PART=name runs one part
	@$(PYTHON) -m tests.soak $(PART)

lint: .venv/ready ## lint, format and types only
	@$(CHECKS)

format: .venv/ready ## format the code
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

clean: .venv/ready ## remove the lab, its cache and the virtual environment
	@$(LAB) down --cache; rm -rf .venv

.venv/ready: requirements.txt requirements-lab.txt requirements-dev.txt app/requirements.txt app/requirements-test.txt
	@echo "Python packages into .venv (first time about a minute)" >&2
	@python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "needs python3, 3.11 or later, with its venv module: apt-get install -y python3-venv" >&2; exit 2; }
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-lab.txt -r requirements-dev.txt
	@touch $@
