# make demo   train a small network, compress it, print the table
# make test   the whole test suite
# make check  ruff and mypy, as strict as they go
# make fuzz   the property tests with many more examples
# make haswell  the tests of 8-bit products under an emulated CPU that saturates (qemu-user)
# make bench  the main job on the example models (EDGECOMPRESS_EXAMPLE), then INT8 and pruning compared with other tools
# make audit  known flaws in the dependencies, risky lines in the code; asks the network
# make dist   wheel and source archive of the last commit in dist/, the same bytes everywhere
# make docs   the documentation, served at http://127.0.0.1:8000; make docs-build writes it to site/, warnings fatal
# make examples  trains and compresses what stands in examples/
# make arm-root  the folder that `--cpu cortex-a72` needs (Debian or Ubuntu)
# make ssh-server  the OpenSSH server that the tests of devices start, where the system has none (Debian or Ubuntu)
#
# Each sets up .venv itself, once, from constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test check fuzz haswell bench audit dist docs docs-build examples arm-root ssh-server clean

demo: $(READY)
	$(BIN)/edgecompress demo --output demo-mobile

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q --numprocesses auto --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q tests --hypothesis-profile=fuzz --numprocesses auto --dist worksteal

# QEMU's user-mode emulation shows the host's /proc/cpuinfo, which the deselected test reads.
haswell: $(READY)
	OMP_NUM_THREADS=1 qemu-x86_64 -cpu Haswell-noTSX $(BIN)/python -m pytest -q tests -m arithmetic \
		--deselect tests/test_arithmetic.py::test_this_cpu_saturates_if_it_is_x86_without_vnni

bench: $(READY)
	$(BIN)/python -m benchmarks.main_job --output README.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m benchmarks.int8 --haswell --output docs/benchmarks-int8.md
	$(BIN)/python -m benchmarks.pruning

audit: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[audit]'
	$(BIN)/python scripts/audit.py

dist: $(READY)
	$(BIN)/python scripts/dist.py

docs: $(READY)
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --strict

docs-build: $(READY)
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

examples: $(READY)
	cd examples/vision && PATH="$(CURDIR)/$(BIN):$$PATH" && python train.py && edgecompress compress nets.py:my_net \
		--weights my_net.safetensors --target mobile --calibration batches.py:calibration \
		--evaluation batches.py:validation --output my_net-mobile --overwrite
	cd examples/text && PATH="$(CURDIR)/$(BIN):$$PATH" && python train.py && edgecompress compress nets.py:classifier \
		--weights classifier.safetensors --target mobile --calibration batches.py:calibration \
		--evaluation batches.py:validation --output classifier-int8 --overwrite \
		--set budgets.max_accuracy_drop=1 --set budgets.min_speedup=1.5
	cd examples/detection && PATH="$(CURDIR)/$(BIN):$$PATH" && python train.py && \
		task="nets.py:detector --weights detector.safetensors --metric map --postprocess boxes.py:postprocess \
			--calibration batches.py:calibration --evaluation batches.py:validation --overwrite" && \
		edgecompress compress $$task --target mobile --output detector-mobile --set budgets.max_metric_drop=0.5 && \
		edgecompress compress $$task --target edge --train batches.py:training --loss losses.py:detection_loss \
			--output detector-edge --set distillation.alpha=0.5 --set budgets.max_metric_drop=1.5 \
			--set budgets.min_speedup=1.5
	cd examples/segmentation && PATH="$(CURDIR)/$(BIN):$$PATH" && python train.py && \
		task="nets.py:unet --weights unet.safetensors --metric miou --calibration batches.py:calibration \
			--evaluation batches.py:validation --overwrite" && \
		edgecompress compress $$task --target mobile --output unet-mobile --set budgets.max_metric_drop=0.5 && \
		edgecompress compress $$task --target edge --train batches.py:training --output unet-edge \
			--set budgets.max_metric_drop=1 --set budgets.min_speedup=1.5
	cd examples/keywords && PATH="$(CURDIR)/$(BIN):$$PATH" && python train.py && \
		task="nets.py:spotter --weights spotter.safetensors --calibration batches.py:calibration \
			--evaluation batches.py:validation --overwrite" && \
		edgecompress compress $$task --target mobile --output spotter-mobile --set budgets.max_accuracy_drop=0.3 && \
		edgecompress compress $$task --target edge --train batches.py:training --output spotter-edge \
			--set budgets.max_accuracy_drop=1
	$(BIN)/python -m benchmarks.examples detection segmentation keywords

arm-root: $(READY)
	PYTHON=$(BIN)/python scripts/arm_root.sh

ssh-server:
	scripts/ssh_server.sh

clean:
	rm -rf .venv demo-mobile site build dist *.egg-info .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; make PYTHON=python3.11 names one" >&2; exit 1; }
	@echo "Setting up .venv: some minutes the first time"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@
