#!/usr/bin/env bash
# Set up this checkout: `deploy/setup.sh demo` or `deploy/setup.sh test`.
# Python packages go into .venv; system packages come by apt, and are named before they do.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-demo}
case "$what" in
demo)
    extras="demo"
    packages=()
    ;;
test)
    extras="dev,gstreamer"
    # GStreamer and its plugins, what PyGObject is built with, a broker, networks that lose packets,
    # a software OpenGL.
    packages=(
        gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
        gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
        gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0
        libgirepository1.0-dev libcairo2-dev pkg-config gcc
        mosquitto mosquitto-clients openssl iproute2 nftables
        libegl1 libegl-mesa0 libgl1-mesa-dri
    )
    ;;
*)
    echo "usage: deploy/setup.sh demo|test" >&2
    exit 2
    ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    echo "setup: installing by apt: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "setup: no apt here; install these by your system's own means, then run again" >&2
        exit 1
    fi
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
    apt_install python3 python3-venv
    python=python3
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "setup: $python is older than 3.10; set PYTHON=/path/to/a/newer/python" >&2
    exit 1
fi
# Debian's python3 comes without venv; pyenv's and others' bring it.
"$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
if [ "$what" = test ]; then
    [ "$(command -v "$python")" = /usr/bin/python3 ] && packages+=(python3-dev)
    apt_install "${packages[@]}"
fi

stamp=".venv/.setup-$what-$(cat pyproject.toml deploy/constraints.txt deploy/setup.sh | sha256sum | cut -c1-16)"
if [ ! -e "$stamp" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    echo "setup: installing Python packages into .venv ($extras)"
    .venv/bin/python -m pip install -q --disable-pip-version-check \
        -c deploy/constraints.txt -e ".[$extras]"
    touch "$stamp"
fi
