PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NPROC  ?= 2
BASE   ?= HEAD~1
# As many processes for those tests that wait for other processes much of their time.
WAITING ?= 4

# What is run below is some hundreds of processes: they read what the first of them has compiled, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

# Each file of tests runs in one of two passes. In the first those that take the branches of keys and the cores, in their own process:
# under coverage, which doubles what they cost.
TESTS := $(sort $(shell find tests -name node_modules -prune -o -name 'test_*.py' -print))
MEASURED := tests/keys/% tests/attacks/% tests/gateway/core/% tests/gateway/test_wire.py tests/clients/core/% tests/clients/test_%.py
# Not these: the tables of keys/mls fire each of its checks without them (`make mutate-mls` holds them to it), or they look at no code of
# keys and the cores.
UNMEASURED := $(patsubst %,tests/keys/mls/test_%.py,damage history mutate replay vectors) tests/attacks/test_catalogue.py
GATE := $(filter-out $(UNMEASURED),$(filter $(MEASURED),$(TESTS)))

.PHONY: sim sim-hours sim-pythons sim-mutants demo test check format lint types contracts collected coverage others mutate-mls interop interop-log rogue probes chaos crash kills rot bench bench-mls bench-audit flips fuzz night clean

# What is never imported need not be compiled.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -e

$(VENV)/core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/test: pyproject.toml   # core and more, in one go
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[test]'
	touch $(VENV)/core $@

demo: $(VENV)/core          ## the guided demo: a real gateway, real clients, an auditor
	$(BIN)/outrider demo

test: $(VENV)/test          ## the whole fast suite
	$(BIN)/pytest -q --collect-only | tail -n 1
	$(BIN)/pytest -q -n $(NPROC) --dist loadfile

check: $(VENV)/test          ## what CI runs: two at a time, what each says is shown at its end
	$(MAKE) --no-print-directory -j 2 --output-sync types collected format lint contracts
	$(MAKE) --no-print-directory -j 2 --output-sync coverage others
	$(MAKE) --no-print-directory -j 2 --output-sync mutate-mls demo

format: $(VENV)/test
	$(BIN)/ruff format --check .

lint: $(VENV)/test
	$(BIN)/ruff check .

types: $(VENV)/test
	$(BIN)/mypy

contracts: $(VENV)/test     ## who may import whom
	$(BIN)/lint-imports

collected: $(VENV)/test     ## how many tests there are; compiles the tests once; else each process does it for itself, at the same time
	$(BIN)/pytest -q --collect-only | tail -n 1

coverage: $(VENV)/test      ## as a gate, the branches of keys and the cores
	$(BIN)/coverage erase
	@echo 'coverage run -m pytest: $(words $(GATE)) files'
	@$(BIN)/coverage run -m pytest -q -n $(NPROC) --dist loadfile $(GATE)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --fail-under=95

others: $(VENV)/test        ## all tests that the gate doesn't need, the longest file first
	@echo 'pytest: $(words $(filter-out $(GATE),$(TESTS))) files'
	@$(BIN)/pytest -q -n $(WAITING) --dist loadfile --no-loadscope-reorder $(filter-out $(GATE),$(TESTS))

tests/interop/node_modules/.package-lock.json: tests/interop/package-lock.json
	npm ci --prefix tests/interop --ignore-scripts --no-audit --no-fund
	touch $@

interop: $(VENV)/core tests/interop/node_modules/.package-lock.json   ## with other MLS implementations, by hand; needs node 20 and npm
	$(BIN)/python -m tests.interop

fuzz: $(VENV)/test          ## libFuzzer over every decoder, SECONDS=60 each, by hand; TARGETS= for some; finds go to tests/fuzz/found
	$(INSTALL) '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(TARGETS) --seconds $(or $(SECONDS),60)

night: $(VENV)/test         ## what the suite tries some times is tried often: 1,000 examples a property, 400 cuts, 2 kbit/s; by hand, some hours
	OUTRIDER_THOROUGH=1 $(BIN)/pytest -q -n $(NPROC) --dist loadfile $$(grep -rlE --include='test_*.py' '@given|OUTRIDER_THOROUGH' tests)

interop-log: $(VENV)/test   ## one of our logs, verified by golang.org/x/mod, by hand; needs go (and Debian's golang-golang-x-mod-dev, or a network)
	$(BIN)/python -m tests.interop.tlog

mutate-mls: $(VENV)/test    ## each check of keys/mls is taken out, and a test must miss it; BASE= for all files
	$(BIN)/python tests/keys/mls/mutate.py $(if $(BASE),--base $(BASE))

rogue: $(VENV)/test         ## a gateway that lies, one lie a test: who notices each, and after how long, by hand
	$(BIN)/pytest -q -s tests/attacks/test_rogue.py

probes: $(VENV)/test        ## what refusals, screens and the log's entries give away, by hand: times, answers, a scan of a million entries
	$(BIN)/python -m tests.attacks.timing
	$(BIN)/python -m tests.attacks.timing --socket
	$(BIN)/python -m tests.attacks.coercion
	$(BIN)/python -m tests.attacks.scan

sim: $(VENV)/test           ## simulated runs under faults, by hand: SEEDS=200 or 1-1000 or =17 for one, MINUTES=10 each, FAULTS='kill rot' in place of drawn ones
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),50) --minutes $(or $(MINUTES),10) $(if $(FAULTS),--faults '$(FAULTS)')

sim-hours: $(VENV)/test     ## simulated hours of all tempos, by hand: HOURS=1000 in all, PROCESSES=2; goes on where it was broken off (build/sim-hours.jsonl); AGAIN=1 what failed once more
	$(BIN)/python -m tests.simulation.hours $(or $(HOURS),1000) $(if $(PROCESSES),--processes $(PROCESSES)) $(if $(AGAIN),--again)

sim-pythons: $(VENV)/test   ## the same seeds under other Pythons that have the project installed, by hand: PYTHONS="…/bin/python …"
	$(BIN)/python -m tests.simulation.versions $(PYTHONS)

sim-mutants: $(VENV)/test   ## each planted bug is looked for by 40 seeds, by hand
	$(BIN)/python -m tests.simulation.mutants --seeds $(or $(SEEDS),40)

chaos: $(VENV)/test         ## 200 rounds of kill -9 on the gateway under traffic, by hand
	$(BIN)/python -m tests.e2e.chaos --rounds 200

crash: $(VENV)/test         ## IMAGES=100000 images of what a power cut may leave of database and log, each started from, by hand
	$(BIN)/python -m tests.crash --images $(or $(IMAGES),100000)

kills: $(VENV)/test         ## kill -9: 20,000 rounds on the store's process, 2,000 on the gateway under traffic, by hand
	$(BIN)/python -m tests.crash.kills --rounds 20000
	$(BIN)/python -m tests.e2e.chaos --rounds 2000

rot: $(VENV)/test           ## 5,000 flipped bits in a database and its WAL, and 100 disks that fail below a running gateway, by hand
	$(BIN)/python -m tests.crash.rot --flips 5000
	$(BIN)/python -m tests.crash.eio --rounds 100

bench: $(VENV)/test         ## the workloads, with server CPU per message, by hand
	$(BIN)/python -m tests.bench

bench-mls: $(VENV)/test     ## MLS in groups of 10, 100 and 1000; PEERS=--peers for ts-mls and OpenMLS beside it (node)
	$(BIN)/python -m tests.bench.mls $(PEERS)

bench-audit: $(VENV)/test   ## a log of 1,000,000 entries, made and verified, with CPU time and memory
	$(BIN)/python -m tests.bench.auditlog

flips: $(VENV)/test         ## 10,000 random bits of logs and archives flipped, each found, by hand
	$(BIN)/python -m tests.clients.auditor.flips

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist
