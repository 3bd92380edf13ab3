#!/usr/bin/env bash
# Write deploy/constraints.txt from what is installed in .venv: run it on purpose, then `make test`.
# Pins are for Python 3.11 and newer; older ones take what pip finds, as some packages left them.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    echo "# Versions that the tests passed with; written by deploy/pin.sh."
    .venv/bin/python -m pip freeze --exclude-editable --disable-pip-version-check |
        grep -E '^[A-Za-z0-9_.-]+==[^ ]+$' |
        sed 's/$/; python_version >= "3.11"/'
} >deploy/constraints.txt
