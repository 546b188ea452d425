# Every target sets up what it needs in .venv; PYTHON names the interpreter to build it from.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: align test check bench bench-faults bench-clean bench-real bench-init bench-diff evidence readme clean
.DEFAULT_GOAL := align

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,paddle,dev]'
	touch $@

align: .venv/.installed  ## put JointBERT's port on the ladder: ten steps, reports in out/jointbert
	$(BIN)/modelparity run jointbert

# Side by side, and each on one thread: several threads a process would wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: .venv/.installed  ## the tests, but for those that train or record at length
	$(PYTEST) -m 'not slow'

check: .venv/.installed  ## format, lint, types, import contracts, all tests and docs examples
	$(BIN)/ruff format --check src tests examples benchmarks docs
	$(BIN)/ruff check src tests examples benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

.venv/.bench: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench,fast]'
	touch $@

bench: bench-faults bench-clean  ## what is caught, what is accused wrongly; writes the two pages

bench-faults: .venv/.bench  ## plant every fault in turn, and pairs of them; ask the tools in use too
	$(BIN)/python benchmarks/faults.py --pairs 20 --markdown docs/faults.md

bench-clean: .venv/.installed  ## 200 clean runs, none of which may be accused; goes on where it stopped
	$(BIN)/python benchmarks/clean_runs.py --markdown docs/clean-runs.md

bench-real: .venv/.installed  ## a dozen clean ladders at real sizes: hours; goes on where it stopped
	$(BIN)/python benchmarks/clean_runs.py --real --markdown docs/clean-runs.md

bench-init: .venv/.installed  ## 200 right initialisers, none accused; 7 wrong ones, each caught
	$(BIN)/python benchmarks/initialisers.py --markdown docs/initialisers.md

evidence: .venv/.installed  ## docs/evidence.md from real runs; DATA=DIR CHECKPOINT=DIR: the tasks too
	$(BIN)/python benchmarks/evidence.py $(if $(DATA),--data $(DATA) --checkpoint $(CHECKPOINT))

bench-diff: .venv/.bench  ## how fast two files are compared, beside the tools in use; needs 18 GB of disk
	$(BIN)/python benchmarks/diff_speed.py --json

readme: .venv/.installed  ## generate the reports shown in the README; ATIS=DIR: from a run on ATIS
	$(BIN)/python docs/generate.py $(if $(ATIS),--atis-report $(ATIS))

clean:
	rm -rf out .pytest_cache .mypy_cache .ruff_cache .hypothesis
