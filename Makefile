# make demo     both models, separate against shared, two seeds each, and the table: under five minutes on two CPU cores
# make test     the test suite, but for what needs a browser (.ci/run)
# make tables   every table from the records alone
# make comparisons  tests over seeds and sentences, of every study whose records keep sentences
# make claims   the verdict on every claim, from the records, measurements and exact checks, with its pictures
# make figures  pictures of every study from the records alone
# make dashboard    every finished study in trackio, in a browser on this machine: no account, no network
# make report   all that the records say as one page, results/report.html, which needs no network, and a page for each study,
#               results/studies/, which links tables, comparisons, figures and claims where these are made
# make reproduce    one run of results/records, drawn with a fixed seed, trained again and compared to the last bit
# make faults   every fault of tests/faults/README.md, many times over: hours on two CPU cores
# make lint     ruff and pyright
# make wheelhouse   every package as a wheel in wheelhouse/, for machines without a network
# The first call makes a virtual environment in .venv; with packages there, nothing needs the network.

# The first Python that runs and is 3.11 or 3.12; `make PYTHON=/path/to/python3.12` chooses another.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
# Where this folder is there, packages come from it and from nowhere else: `make setup WHEELHOUSE=` goes to the network
# all the same, and `make setup WHEELHOUSE=FOLDER` takes another folder.
WHEELHOUSE ?= $(wildcard wheelhouse)
LACKING = error: not everything is in $(WHEELHOUSE): repeat make wheelhouse with this Python where there is a network, or say \
	make setup WHEELHOUSE= to install from the network
SOURCES := $(shell find ablations conf data hydra_plugins models scripts tests -name '*.py' -o -name '*.yaml' 2>/dev/null | grep -v data/cache) \
           train.py evaluate.py pyproject.toml Makefile README.md

.PHONY: setup wheelhouse demo test faults tables comparisons claims figures report dashboard reproduce lint clean

setup: .venv/ready

.venv/ready: requirements.txt requirements-dev.txt requirements-dashboard.txt requirements-faults.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 is needed: install it, or say make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "installing requirements-dev.txt from $(or $(WHEELHOUSE),the network)"
	@$(PY) -m pip install --quiet --disable-pip-version-check $(if $(WHEELHOUSE),--no-index --find-links $(WHEELHOUSE)) \
		-r requirements-dev.txt $(if $(WHEELHOUSE),|| { echo "$(LACKING)"; exit 1; })
	@touch $@

# Wheels fit one kind of machine: make them on the system, processor and Python version of the machine they are for.
# What an earlier call has fetched is taken from there, and what is not asked for any more goes.
wheelhouse: HOUSE := $(or $(WHEELHOUSE),wheelhouse)
wheelhouse:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 is needed: say make PYTHON=/path/to/python3.12 wheelhouse"; exit 1; }
	@rm -rf $(HOUSE).new && $(PYTHON) -m venv $(HOUSE).new/venv
	@echo "fetching the wheels of requirements-dev.txt"
	@$(HOUSE).new/venv/bin/python -m pip wheel -qq --use-pep517 --disable-pip-version-check $(addprefix --find-links ,$(wildcard $(HOUSE))) \
		--wheel-dir $(HOUSE).new -r requirements-dev.txt
	@rm -rf $(HOUSE) $(HOUSE).new/venv && mv $(HOUSE).new $(HOUSE)
	@du -sh $(HOUSE)

# One process for each task, of one thread: on two cores that is faster than one process of two threads.
demo: .venv/ready
	@$(PY) train.py study=demo task=python_docs trainer.threads=1 & language_models=$$!; \
	trap "kill $$language_models" INT TERM; \
	$(PY) train.py study=demo task=toy_translation trainer.threads=1; translators=$$?; \
	wait $$language_models && exit $$translators
	@$(PY) scripts/tables.py --study demo --print
	@echo "All commands of the README want the environment: . .venv/bin/activate"

# Tests that passed on these very sources are not run again: `make -B test` runs them all the same.
test: .venv/tested

.venv/tested: .venv/ready $(SOURCES)
	$(PY) -m pytest -n 2 --ignore=tests/browser
	@touch $@

faults: .venv/ready
	$(PY) scripts/faults.py

tables: .venv/ready
	$(PY) scripts/tables.py
	$(PY) scripts/tables.py --study headline --study headline_wikitext2 --join notes

comparisons: .venv/ready
	$(PY) scripts/compare.py

claims: figures
	$(PY) scripts/claims.py

dashboard: .venv/ready
	$(PY) scripts/dashboard.py --trackio

figures: .venv/ready
	$(PY) scripts/figures.py

report: claims
	$(PY) scripts/report.py
	$(PY) scripts/pages.py

reproduce: .venv/ready
	$(PY) scripts/reproduce.py --random 1 --study sharing

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright

clean:
	rm -rf .venv data/cache results/work results/records/demo results/records/scratch
