# "make demo" and "make test" need python3 (3.10 to 3.12) and nothing else.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: demo up viz test faults lint train eval bench docs clean

demo: ; @$(PYTHON) bootstrap.py $(if $(findstring --web,$(ARGS)),viz) && $(BIN)/vla-ros demo $(ARGS)
viz: ; @$(PYTHON) bootstrap.py viz && $(BIN)/vla-ros viz $(ARGS)
up: ; @$(PYTHON) bootstrap.py && $(BIN)/vla-ros up sim $(ARGS)
test: ; @$(PYTHON) bootstrap.py test train viz record bench fast && $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)
faults: ; @$(PYTHON) bootstrap.py test train && PYTHONPATH=.:test:$$PYTHONPATH $(BIN)/python -m faults.campaign $(ARGS)
lint: ; @$(PYTHON) bootstrap.py test train viz record bench fast dev && $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy
train: ; @$(PYTHON) bootstrap.py train && $(BIN)/vla-ros train $(ARGS)
eval: ; @$(PYTHON) bootstrap.py && $(BIN)/vla-ros eval $(ARGS)
bench: ; @$(PYTHON) bootstrap.py bench && $(BIN)/vla-ros bench pipeline $(ARGS)
docs: ; @$(PYTHON) bootstrap.py && $(BIN)/python docs/generate.py $(ARGS)
clean: ; rm -rf build install log out .pytest_cache .ruff_cache .mypy_cache .hypothesis
