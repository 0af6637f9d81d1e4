#!/bin/sh
# Unpacks the OpenSSH server of this machine's Debian or Ubuntu into a folder, for the tests of devices: they start it
# on the loopback, with a key of their own. No root rights, no service, nothing in the system changes.
#
#     scripts/ssh_server.sh [FOLDER]     default: ~/.cache/edgecompress/ssh-server
set -eu

OUTPUT=${1:-$HOME/.cache/edgecompress/ssh-server}
PACKAGES="openssh-server libwrap0"

case $0 in
*/*) . "${0%/*}/unpacking.sh" ;;
*) . ./unpacking.sh ;;
esac
begin "holds no OpenSSH server" unpack apt-get dpkg

open_work
echo "fetching" $PACKAGES
(cd "$WORK/debs" && apt-get -q -q -o APT::Sandbox::User= download $PACKAGES) ||
    fail "a package could not be fetched; run apt-get update"
for package in "$WORK"/debs/*.deb; do
    dpkg -x "$package" "$WORK/root"
done
[ -x "$WORK/root/usr/sbin/sshd" ] || fail "the packages hold no sshd"
finish unpacked
