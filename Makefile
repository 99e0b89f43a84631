# Each target runs one command, which also works without make. `make help` lists the targets.
STACK ?= dev
# Your own cluster: `make up CONTEXT=kind-kind REGISTRY=localhost:5001`. Otherwise the stack file decides.
CONTEXT ?=
REGISTRY ?=
# ARGS: more options for a promotion command, as in `make canary ARGS='--replicas 2'`. TO: the target of `traffic` and
# `rollback`. NAME: the stack of `stack` and `unstack`.
ARGS ?=
TO ?=
NAME ?=

PYTHON := .venv/bin/python
LAB := $(PYTHON) -m lab
TARGET = --stack $(STACK) $(if $(CONTEXT),--context $(CONTEXT))
key = $(shell sed -nE "s/^ *[\"']?(addressbook:)?$(1)[\"']? *: *[\"']?([^\"' ]+).*/\2/p" Pulumi.$(STACK).yaml 2>/dev/null)
# A stack runs in the lab if its context has the lab's name. No other stack needs the lab.
CLUSTER := $(or $(CONTEXT),$(call key,kubeContext))
IN_LAB := $(filter $(or $(ADDRESSBOOK_LAB_NAME),addressbook-lab),$(CLUSTER))
ifeq ($(IN_LAB),)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PULUMI_SKIP_UPDATE_CHECK := true
# A local stack keeps its state in a folder, under a public passphrase, unless the shell has settings of its own.
ifeq ($(or $(call key,cloud),local),local)
ifeq ($(PULUMI_BACKEND_URL),)
STATE := $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/addressbook/pulumi
export PULUMI_BACKEND_URL := file://$(STATE)
endif
ifeq ($(PULUMI_CONFIG_PASSPHRASE)$(PULUMI_CONFIG_PASSPHRASE_FILE),)
export PULUMI_CONFIG_PASSPHRASE_FILE := $(CURDIR)/Pulumi.local.passphrase
endif
endif
endif
ENVIRONMENT = $(if $(IN_LAB),eval "$$($(LAB) env $(TARGET))" &&,$(if $(STATE),mkdir -p -m 700 "$(STATE)" &&))
PROMOTION = $(ENVIRONMENT) $(PYTHON) -m promotion
SETTINGS = $(if $(CONTEXT),--set kubeContext=$(CONTEXT)) $(if $(REGISTRY),--set registry=$(REGISTRY))

CHECKS = .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/pyright
# Two processes; tests that share a stack stay in one.
PARALLEL = --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help up down preview status dashboard canary verdict promote rollback release traffic history diagnose undo stack unstack env image scan test unit soak lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

up: .venv/ready ## bring the stack up, and first the lab if the stack runs there
	@$(if $(IN_LAB),echo "Stack $(STACK) runs in the lab: its context is $(CLUSTER)." >&2 && $(LAB) up $(TARGET) &&) $(PROMOTION) up --stack $(STACK) $(SETTINGS)

down: .venv/ready ## destroy the stack, and remove the lab if the stack runs there
	@$(PROMOTION) down --stack $(STACK)$(if $(IN_LAB),; status=$$?; $(LAB) down && exit $$status)

preview: .venv/ready ## show what `up` would do; OUTPUT=markdown for a pull request
	@$(PROMOTION) preview --stack $(STACK) $(if $(OUTPUT),--output $(OUTPUT)) $(ARGS)

status: .venv/ready ## show what the stack runs
	@$(PROMOTION) status --stack $(STACK) $(ARGS)

dashboard: .venv/ready ## show the release on a page in the browser; ARGS=--all shows all stacks
	@$(PROMOTION) dashboard $(if $(filter --all,$(ARGS)),,--stack $(STACK)) $(ARGS)

canary: .venv/ready ## put an image on trial beside stable: built from source, or named in ARGS
	@$(PROMOTION) canary --stack $(STACK) $(ARGS)

verdict: .venv/ready ## try the canary; roll it back if it is unhealthy
	@$(PROMOTION) verdict --stack $(STACK) $(ARGS)

promote: .venv/ready ## give stable the canary's image
	@$(PROMOTION) promote --stack $(STACK) $(ARGS)

rollback: .venv/ready ## remove the canary, or return stable to an earlier image: TO=release or digest
	@$(PROMOTION) rollback --stack $(STACK) $(if $(filter file,$(origin TO)),,--to "$(TO)") $(ARGS)

undo: .venv/ready ## return stable to the image that it ran before
	@$(PROMOTION) undo --stack $(STACK) $(ARGS)

release: .venv/ready ## canary, verdict and promotion in one run
	@$(PROMOTION) release --stack $(STACK) $(ARGS)

traffic: .venv/ready ## choose which pods serve users: TO=split, stable or canary
	@$(PROMOTION) traffic --stack $(STACK) $(TO) $(ARGS)

history: .venv/ready ## list who changed what and when
	@$(PROMOTION) history --stack $(STACK) $(ARGS)

diagnose: .venv/ready ## say what is wrong, why, and how to fix it
	@$(PROMOTION) diagnose --stack $(STACK) $(ARGS)

stack: .venv/ready ## create the release stack NAME on the platform of STACK
	@$(PROMOTION) stack --name "$(NAME)" --platform $(STACK) $(ARGS)

unstack: .venv/ready ## destroy the release stack NAME, or with ARGS=--expired all that have expired; the platform stays
	@$(PROMOTION) unstack $(if $(filter --expired,$(ARGS)),,--name "$(NAME)") $(ARGS)

env: .venv/ready ## print the settings that make a shell's pulumi use the stack: eval "$(make env)"
	@$(if $(IN_LAB),$(LAB) env $(TARGET),export -p | grep -E ' (PATH|PULUMI_(SKIP_UPDATE_CHECK|BACKEND_URL|CONFIG_PASSPHRASE_FILE))=')

image: .venv/ready ## build and test REPOSITORY's image; PUSH=--push also pushes it
	@$(ENVIRONMENT) $(PYTHON) -m pipeline image --repository $(REPOSITORY) $(PUSH)

scan: .venv/ready ## check the workflows, and all locked packages and IMAGE for known vulnerabilities (`lint` checks the code)
	@.venv/bin/zizmor --offline --config .github/zizmor.yml .github && $(PYTHON) -m pipeline scan $(if $(IMAGE),--image $(IMAGE))

test: .venv/ready ## lint, type check and tests in two processes; start the lab if none runs
	-@$(LAB) up --tools-only --postgres
	@$(CHECKS) && $(PYTHON) -m pytest $(PARALLEL) $(TESTS)

unit: .venv/ready ## run the unit tests only
	@$(PYTHON) -m pytest -q $(PARALLEL) tests/unit

soak: .venv/ready ## run the long tests, before a version is tagged; PART=name runs one part
	@$(PYTHON) -m tests.soak $(PART)

lint: .venv/ready ## lint, format and type check only
	@$(CHECKS)

format: .venv/ready ## format the code
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

clean: .venv/ready ## remove the lab, its cache, and the virtual environment
	@$(if $(wildcard lab/cli.py),$(LAB) down --cache;) rm -rf .venv

.venv/ready: requirements-dev.txt
	@echo "Python packages into .venv (first time about a minute)" >&2
	@python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "needs python3, 3.11 or later, with its venv module: apt-get install -y python3-venv" >&2; exit 2; }
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# The lock of .venv comes first, because the others are parts of it and take its versions.
LOCKS := requirements-dev requirements app/requirements app/requirements-test app/requirements-build
lock: .venv/ready ## lock the Python packages again, after a change of a requirements*.in; ARGS=--upgrade takes new versions
	@for lock in $(LOCKS); do \
	  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(ARGS) --output-file $$lock.txt $$lock.in || exit; \
	  export UV_CONSTRAINT=requirements-dev.txt; \
	done
