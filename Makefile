# The two commands that matter: `make demo` and `make test`.

PYTHON ?= python3
VENV = .venv/bin
TESTS ?= tests/soak tests/unit tests/simulation tests/process tests/docker
BENCH_IMAGES = $(addprefix mongooseim-bench/,rendered member base builder)
CONTAINERS = $(filter tests/docker%,$(TESTS))
# A Swarm that begins or ends disturbs the networks of all other containers: its tests, which mostly
# wait, run beside those that have none.
SWARM = tests/docker/test_swarm.py
WITH_SWARM = $(if $(filter tests/docker tests/docker/ $(SWARM),$(CONTAINERS)),$(SWARM))
SHARED = $(filter-out $(SWARM),$(CONTAINERS))
PLAIN = $(WITH_SWARM) $(filter-out tests/docker%,$(TESTS))
WORKERS ?= 4
PYTEST = $(VENV)/pytest --numprocesses=$(WORKERS) --durations=20 --durations-min=1

.DEFAULT_GOAL = help
.PHONY: help demo demo-clean recording setup test simulate soak bench mutants lint format clean

help:
	@echo 'make demo        build a release from source, and run a cluster of two with it'
	@echo '                 SOURCE=REPOSITORY COMMIT=COMMIT: of this, not of the sample server'
	@echo '                 BASE_IMAGE=IMAGE ERLANG_IMAGE=IMAGE: on this Debian, with this Erlang'
	@echo 'make demo-clean  remove all that the demonstration made'
	@echo 'make recording   record both as the picture that the README shows'
	@echo 'make test        run all the tests (TESTS=tests/unit: only these; WORKERS=4: side by side)'
	@echo 'make simulate    look for a sequence of events that splits a cluster (MINUTES=5 SEED=7)'
	@echo 'make soak        five real members under faults by chance (MINUTES=20 SEED=7); needs root'
	@echo 'make bench       measure what the entrypoint costs (RUNS=15 ONLY=start,join RELEASE=TARBALL)'
	@echo 'make mutants     change the code that decides, see what no test notices (MODULES=FILE,FILE)'
	@echo 'make lint        check style and types'
	@echo 'make format      put the sources into style'
	@echo 'make clean       remove what the tests made'

# SOURCE and COMMIT reach the program through the environment.
demo:
	@$(PYTHON) tools/demo.py

demo-clean:
	@$(PYTHON) tools/demo.py clean

recording:
	@$(PYTHON) tools/setup.py venv
	@$(VENV)/python tools/record.py docs/demo.svg 'make demo' \
		'docker exec -t mongooseim-1 member-entrypoint status'
	@$(MAKE) --no-print-directory demo-clean

setup:
	@$(PYTHON) tools/setup.py

# Those with containers come last, and by themselves: they take long.
test: setup
	$(if $(strip $(PLAIN)),$(PYTEST) --dist=loadgroup $(PLAIN))
	$(if $(SHARED),$(PYTEST) --dist=worksteal --ignore=$(SWARM) $(SHARED))

# MINUTES and SEED reach the program through the environment.
simulate:
	@$(PYTHON) tools/setup.py venv
	@PYTHONPATH=. $(VENV)/python tests/simulation/simulate.py

# MINUTES, SEED and KINDS reach the program through the environment.
soak:
	@$(PYTHON) tools/setup.py programs venv
	@PYTHONPATH=.:tests/shared:tests/process $(VENV)/python tests/soak/soak.py

# RUNS, ONLY, RELEASE and RESULTS reach the program through the environment.
bench:
	@$(PYTHON) tools/setup.py programs rebar3 engine images venv bench
	@$(VENV)/python -m bench

# MODULES and WORKERS reach the program through the environment.
mutants:
	@$(PYTHON) tools/setup.py venv mutants
	@$(VENV)/python tools/mutants.py

lint:
	@$(PYTHON) tools/setup.py venv
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(VENV)/check-jsonschema --check-metaschema deploy/status.schema.json
	$(VENV)/hadolint Dockerfile.member Dockerfile.builder

format:
	@$(PYTHON) tools/setup.py venv
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

clean:
	-docker image rm --force mimtest-builder mimtest-member mimtest-podman mimtest-postgresql 2>/dev/null
	-docker image rm --force $(BENCH_IMAGES) 2>/dev/null
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	rm -f member/mimtest-member.tar.gz
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
