# make demo and make test need Python 3.11 and nothing else; both install what they need into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# --no-input: a machine without a terminal must fail, not wait. constraints.txt pins every package.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q install -c constraints.txt

.PHONY: help demo test bench check format stubs lock clean

help:  ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 12

demo: $(VENV)/.demo  ## start the mesh, score a mixed batch, train a tiny VLM by GRPO, stop everything
	$(BIN)/rewardmesh-train demo --config deploy/mesh.yaml

test: $(VENV)/.dev  ## the whole test-suite, both engines included
	$(BIN)/python -m pytest

bench: $(VENV)/.dev  ## all benchmarks, one table: bench.md
	$(BIN)/python -m tests.bench

check: $(VENV)/.dev  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

stubs:  ## generate proto/rewardmesh/v1/*_pb2* (grpcio-tools 1.76: its stubs load on protobuf 6 and 7)
	$(PYTHON) -m venv $(VENV)-stubs
	$(VENV)-stubs/bin/pip -q install grpcio-tools==1.76.0
	$(VENV)-stubs/bin/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto \
		--grpc_python_out=proto proto/rewardmesh/v1/*.proto

lock: $(VENV)/.dev  ## write constraints.txt anew from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^rewardmesh' | sed 's/^torch==.*/torch==2.13.0/' > constraints.txt

clean:  ## remove everything that was made
	rm -rf $(VENV) $(VENV)-stubs

# torch first and pinned: any other package that depends on it would pull the newest CUDA build.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[server,rm,train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml tests/plugin/pyproject.toml
	$(PIP) -e '.[server,rm,train,distributed,dev]' -e tests/plugin
	@touch $@ $(VENV)/.demo
