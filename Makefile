# Two commands: `make demo` and `make test`.  Both set up what they need first.
.PHONY: demo test test-train setup lint schema bench clean
.DEFAULT_GOAL := demo

demo:
	@deploy/setup.sh demo
	@.venv/bin/skywhistle demo --out out/demo

test:
	@deploy/setup.sh test
	@.venv/bin/python -m pytest --nothing-missing

# What trains a detector: PyTorch is a large download, and nothing that flies needs it.
test-train:
	@deploy/setup.sh test
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c deploy/constraints.txt -e '.[train]'
	@.venv/bin/python -m pytest tests/unit/models

setup:
	@deploy/setup.sh test

lint:
	@deploy/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench:
	@deploy/setup.sh test
	@.venv/bin/skywhistle bench --json

clean:
	rm -rf .venv out build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
