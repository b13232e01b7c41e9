# `make book` and `make test` do all their own set-up. On Windows see the README for the same steps without make.
PROFILE ?= laptop
DATA ?= twin
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: book check rehearse pdf course release test lint bench clean
.DELETE_ON_ERROR:

book: $(VENV)/installed
	@echo "make book: builds the '$(PROFILE)' book from '$(DATA)' data; about 8 minutes for smoke, about half an hour for laptop, hours for paper."
	$(RUN) -m figures_pkg book --profile $(PROFILE) --data $(DATA)

# The built book against what is stored of it (numbers of smoke only, verdicts of smoke and laptop), its links and weights, and each page in a browser.
check: $(VENV)/installed
	$(RUN) -m figures_pkg figures --check --profile $(PROFILE)
	$(RUN) -m figures_pkg claims --check --profile $(PROFILE)
	$(RUN) -m pytest -n auto --dist worksteal tests/book/test_pages.py tests/rehearsal/test_words.py tests/browser/test_book.py -rs

# The book on the record, from fetching to the last page, with simulated stand-ins for the record's files; after `make book PROFILE=…`.
rehearse: $(VENV)/installed
	@echo "make rehearse: fetches, inspects and builds stand-ins for the authors' record; about 5 minutes for smoke, with the twin's book built before."
	$(RUN) tests/rehearsal/rehearse.py --profile $(PROFILE) --full

pdf: book
	$(RUN) -m figures_pkg pdf --profile $(PROFILE)

course: $(VENV)/installed
	$(RUN) -m figures_pkg course

release: book pdf course
	$(RUN) -m figures_pkg release

test: $(VENV)/installed
	@echo "make test: runs every test, without a network; about 5 minutes on two cores."
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Style, spelling, docstrings, types and, where it is installed, the workflow files; the same call runs before each commit and in .ci/run.
lint: $(VENV)/linters
	$(RUN) -m ruff check
	@$(VENV)/bin/codespell $(shell git ls-files '*.py' '*.md' '*.yaml' '*.yml' '*.toml' '*.html' Makefile Snakefile)
	@$(VENV)/bin/numpydoc lint $(shell git ls-files 'figures_pkg/*.py')
	$(RUN) -m mypy
	@if command -v actionlint > /dev/null; then actionlint; else echo "actionlint is not installed: GitHub checks the workflow files"; fi

bench: $(VENV)/installed
	@echo "make bench: times one pass over a scan beside its peers; installs each peer in its own environment, about 20 minutes."
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[bench]'
	$(RUN) benchmarks/one_pass.py

# The environment is made when it is missing and again when a pin or a dependency changes.
$(VENV)/installed: constraints.txt pyproject.toml
	@echo "set-up: installs the pinned packages into $(VENV); about 3 minutes and 2.5 GB."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %d.%d; call make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[book,model,test]'
	@touch $@

$(VENV)/linters: $(VENV)/installed
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[lint]'
	@touch $@

clean:
	rm -rf artefacts book/_build book/executed dist .snakemake
