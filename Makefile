# make quick | demo | test | varied | coverage | compliance | lint | e2e | browser | terminal | pictures | packaging | bench | docs | lock | wheel | sdist | onefile | archive | release-files | clean: what they do is in CONTRIBUTING.md
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
LOCK = --quiet --universal --generate-hashes --python-version 3.10 --custom-compile-command 'make lock'

OFFLINE = --ignore tests/e2e --ignore tests/browser --ignore tests/terminal --ignore tests/packaging

.PHONY: quick demo test varied coverage compliance lint e2e browser terminal pictures packaging bench docs lock wheel sdist onefile archive release-files clean

# The virtual environment, with what the program needs; made anew when that changes
$(VENV)/run: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "rollout-status needs Python 3.10 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	touch $@

# The same with what builds a wheel of it
$(VENV)/build: $(VENV)/run requirements-build.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-build.txt
	touch $@

# The same with what its developers need
$(VENV)/ready: $(VENV)/run requirements-dev.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python tests/junit_schema.py
	touch $@

# A recorded crash loop, offline; the tool's own exit code is 1, as it should be
demo: $(VENV)/run
	@$(BIN)/python rollout_status.py demo; code=$$?; \
	if [ $$code -eq 1 ]; then echo "make demo: the rollout failed, so rollout-status ended with exit code 1, as it should"; \
	else echo "make demo: rollout-status ended with exit code $$code, not 1"; exit 1; fi

# What tells most, within a minute on two cores: all cases, the layers, the rule files
quick: $(VENV)/ready
	$(BIN)/pytest -q --numprocesses auto tests/test_fixtures.py tests/test_layers.py tests/test_rules.py tests/test_arguments.py tests/test_recordings.py

# The offline tests, side by side: about five minutes on two cores
VARIED = $(foreach test,both_ways deleted_keys changed_values settled ends patterns,tests/test_$(test).py)
TEST = pytest -q --numprocesses auto --dist worksteal $(OFFLINE) $(VARIED:%=--ignore %)
test: $(VENV)/ready
	$(BIN)/$(TEST)

# Each case varied thousands of times: keys left out, other values, time that goes on; as told by a cluster; and each pattern on hostile texts of a megabyte
varied: $(VENV)/ready
	$(BIN)/pytest -q --numprocesses auto $(VARIED)

# Which branches are reached: 99.8 % at least; those that are not are listed
coverage: $(VENV)/ready
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(TEST) --deselect tests/test_why.py::test_each_hint_is_a_whole_command
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The public JMESPath compliance suite, data that lies in SUITE, against the interpreter
compliance: $(VENV)/ready
	$(BIN)/python tests/compliance.py $(SUITE)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Against the cluster of KUBECONFIG
e2e: $(VENV)/ready
	$(BIN)/pytest -q --numprocesses 3 tests/e2e

# The page of --report in a real Chromium, which must be on PATH
browser: $(VENV)/ready
	$(BIN)/pytest -q tests/browser

# Each way of getting it: with uv, pipx, as one file, as a plugin, an image, in GitHub Actions and GitLab, completed by the shells
packaging: $(VENV)/ready
	$(BIN)/pytest -q tests/packaging

# What a terminal shows, in a real one: tmux, which must be on PATH
terminal: $(VENV)/ready
	$(BIN)/pytest -q tests/terminal

# The pictures in docs/, with the Chromium and the tmux on PATH
pictures: $(VENV)/ready
	$(BIN)/python tests/pictures.py

# What judging costs, and, with KUBECONFIG, a whole run; writes benchmarks/results.md
bench: $(VENV)/ready
	$(BIN)/python benchmarks/bench.py

# All requirements*.txt anew: the newest versions that pyproject.toml allows, each with its hashes
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check uv
	$(VENV)-lock/bin/uv pip compile $(LOCK) --output-file requirements.txt pyproject.toml
	echo 'jsonschema<4.18' | $(VENV)-lock/bin/uv pip compile $(LOCK) --constraint - --output-file requirements-onefile.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile $(LOCK) --extra dev --output-file requirements-dev.txt pyproject.toml
	echo hatchling | $(VENV)-lock/bin/uv pip compile $(LOCK) --constraint requirements-dev.txt --output-file requirements-build.txt -
	rm -rf $(VENV)-lock

# What is generated: docs/rules.md from the rules, the tables of docs/rule-reference.md from their schema, docs/reference.md, codes.md and deadlines.md from the program, the fields that `rollout-status lint` knows from the fixtures, CONTRIBUTING's table of the modules
docs: $(VENV)/ready
	mkdir -p docs
	cd rules && LC_ALL=C ls *.yaml compat/*.yaml packs/*.yaml used/*.yaml >files.txt
	$(BIN)/python rollout_status.py rules --markdown >docs/rules.md
	$(BIN)/python -c 'from rollout_status_lib.verbs.fields import write_fields; write_fields()'
	$(BIN)/python tests/test_layers.py
	$(BIN)/python tests/reference.py
	$(BIN)/python tests/pages.py

# The wheel in dist/
wheel: $(VENV)/build
	rm -f dist/*.whl
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

# dist/rollout-status: one executable archive with rules and dependencies inside, for the platform and the Python of the build
onefile: wheel
	rm -rf build/onefile
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --target build/onefile/lib --require-hashes --requirement requirements-onefile.txt
	rm -rf build/onefile/lib/bin
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --target build/onefile/lib --no-deps dist/*.whl
	rm -rf build/onefile/lib/bin build/onefile/lib/jsonschema/tests build/onefile/lib/jsonschema/benchmarks
	$(BIN)/python -m compileall -q --invalidation-mode unchecked-hash -s build/onefile/lib build/onefile/lib
	# what the first start reads is kept for all others; the rollout of the demo has failed, so it ends with 1
	PYTHONDONTWRITEBYTECODE= $(BIN)/python build/onefile/lib/rollout_status.py demo >/dev/null 2>&1; test $$? -eq 1
	cp packaging/onefile.py build/onefile/__main__.py
	cp rollout_status_start.py build/onefile/
	$(BIN)/python -m zipapp --compress --python '/usr/bin/env python3' --output dist/rollout-status build/onefile
	chmod 755 dist/rollout-status

# The sdist in dist/
sdist: $(VENV)/build
	rm -f dist/rollout_status-*.tar.gz
	$(BIN)/hatchling build --target sdist --directory dist

# dist/rollout-status as an archive of a release: make archive OS=linux ARCH=amd64
OS ?= linux
ARCH ?= amd64
archive: onefile
	$(BIN)/python packaging/release.py archive $(OS) $(ARCH)

# dist/release/: all files of a release, of the archives that lie in dist/, without a network
REPOSITORY ?= OWNER/rollout-status
release-files: $(VENV)/run
	$(BIN)/python packaging/release.py files $(REPOSITORY)

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
