#!/bin/sh
# Builds the Arm root in which `edgecompress validate --cpu cortex-a72` runs: Python 3.11 and its libraries from
# Debian 12's arm64 packages, numpy and onnxruntime from their aarch64 wheels. No root rights, no foreign
# architecture in the system's dpkg; what it reads and writes lies in a temporary folder next to the output, which is
# renamed when all is there.
#
#     scripts/arm_root.sh [FOLDER]     default: $EDGECOMPRESS_ARM_ROOT, or ~/.cache/edgecompress/arm-root
set -eu

MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
KEYRING=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
PYTHON=${PYTHON:-python3}
OUTPUT=${1:-${EDGECOMPRESS_ARM_ROOT:-$HOME/.cache/edgecompress/arm-root}}
# What python3.11, numpy and onnxruntime load; the packages' scripts, which need the rest, are not run.
PACKAGES="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 libexpat1
 zlib1g libffi8 libssl3 libbz2-1.0 liblzma5 libcrypt1 libuuid1"
# onnxruntime 1.28 and later crash under QEMU 7.2, which Debian 12 ships.
WHEELS="onnxruntime==1.27.* numpy==2.*"

case $0 in
*/*) . "${0%/*}/unpacking.sh" ;;
*) . ./unpacking.sh ;;
esac
begin "is no Arm root" build apt-get dpkg "$PYTHON"
"$PYTHON" -m pip --version >/dev/null 2>&1 || fail "$PYTHON has no pip; install python3-pip, or set PYTHON"
[ -f "$KEYRING" ] || fail "$KEYRING is missing; install debian-archive-keyring, or set DEBIAN_KEYRING"

open_work
mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial"
: >"$WORK/apt/status"
echo "deb [arch=arm64 signed-by=$KEYRING] $MIRROR bookworm main" >"$WORK/apt/sources.list"
cat >"$WORK/apt/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Dir::State::Lists "$WORK/apt/lists";
Dir::State::status "$WORK/apt/status";
Dir::Cache "$WORK/apt/cache";
Dir::Etc::SourceList "$WORK/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
EOF
# Read after the system's own settings: its proxies stay, its hooks do not.
apt_arm() {
    apt-get -q -q -c "$WORK/apt/apt.conf" -o APT::Architectures=arm64 "$@"
}

echo "reading Debian's arm64 package lists"
apt_arm update || fail "the package lists could not be read from $MIRROR; set DEBIAN_MIRROR"
echo "fetching" $PACKAGES
(cd "$WORK/debs" && apt_arm download $PACKAGES) || fail "a package could not be fetched from $MIRROR"
for package in "$WORK"/debs/*.deb; do
    dpkg -x "$package" "$WORK/root"
done
echo "fetching the aarch64 wheels of" $WHEELS
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary=:all: \
    --python-version 3.11 --implementation cp \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --target "$WORK/root/usr/lib/python3/dist-packages" $WHEELS ||
    fail "the wheels could not be fetched"
[ -x "$WORK/root/usr/bin/python3.11" ] || fail "the packages hold no python3.11"
if command -v qemu-aarch64 >/dev/null; then
    echo "trying it"
    qemu-aarch64 -cpu cortex-a72 -L "$WORK/root" "$WORK/root/usr/bin/python3.11" -I -B -c \
        'import numpy, onnxruntime as o; print("numpy", numpy.__version__ + ", onnxruntime", o.__version__)' \
        2>"$WORK/log" || fail "Python does not start in it: $(tail -n 1 "$WORK/log")"
else
    echo "qemu-aarch64 is missing, so that it could not be tried; install qemu-user"
fi
finish built
