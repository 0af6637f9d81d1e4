#!/bin/sh
# Unpacks the OpenSSH server of this machine's Debian or Ubuntu into a folder, for the tests of devices: they start it
# on the loopback, with a key of their own. No root rights, no service, nothing in the system changes.
#
#     scripts/ssh_server.sh [FOLDER]     default: ~/.cache/edgecompress/ssh-server
set -eu

OUTPUT=${1:-$HOME/.cache/edgecompress/ssh-server}
PACKAGES="openssh-server libwrap0"

fail() {
    echo "error: $1" >&2
    exit 2
}

case $OUTPUT in
/*) ;;
*) OUTPUT=$PWD/$OUTPUT ;;
esac
if [ -f "$OUTPUT/complete" ]; then
    echo "$OUTPUT is there already; remove it to unpack it anew"
    exit 0
fi
[ ! -e "$OUTPUT" ] || fail "$OUTPUT exists and holds no OpenSSH server; remove it, or name another folder"
for program in apt-get dpkg; do
    command -v "$program" >/dev/null || fail "$program is missing; install it (this script needs Debian or Ubuntu)"
done

mkdir -p "$(dirname "$OUTPUT")"
WORK=$(mktemp -d "$OUTPUT.partial.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$WORK"
mkdir "$WORK/debs" "$WORK/root"
echo "fetching" $PACKAGES
(cd "$WORK/debs" && apt-get -q -q -o APT::Sandbox::User= download $PACKAGES) ||
    fail "a package could not be fetched; run apt-get update"
for package in "$WORK"/debs/*.deb; do
    dpkg -x "$package" "$WORK/root"
done
[ -x "$WORK/root/usr/sbin/sshd" ] || fail "the packages hold no sshd"
: >"$WORK/root/complete"
mv "$WORK/root" "$OUTPUT"
echo "unpacked $OUTPUT, $(du -sh "$OUTPUT" | cut -f 1)"
