# For the scripts that unpack packages of Debian into a folder of their own, which is there whole or not at all. Sourced:
# set OUTPUT first, then call begin, fill "$WORK/root", and call finish.

fail() {
    echo "error: $1" >&2
    exit 2
}

# begin WHAT_IT_IS_NOT VERB PROGRAM...: ends the script where OUTPUT is there, is something else, or a program is missing.
begin() {
    case $OUTPUT in
    /*) ;;
    *) OUTPUT=$PWD/$OUTPUT ;;
    esac
    if [ -f "$OUTPUT/complete" ]; then
        echo "$OUTPUT is there already; remove it to $2 it anew"
        exit 0
    fi
    [ ! -e "$OUTPUT" ] || fail "$OUTPUT exists and $1; remove it, or name another folder"
    shift 2
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "$program is missing; install it (this script needs Debian or Ubuntu)"
    done
}

# A folder next to OUTPUT to work in, WORK, which is removed whatever happens.
open_work() {
    mkdir -p "$(dirname "$OUTPUT")"
    WORK=$(mktemp -d "$OUTPUT.partial.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    trap 'exit 130' INT TERM
    chmod 755 "$WORK"
    mkdir "$WORK/debs" "$WORK/root"
}

# finish VERB: what was filled becomes OUTPUT in one step.
finish() {
    : >"$WORK/root/complete"
    mv "$WORK/root" "$OUTPUT"
    echo "$1 $OUTPUT, $(du -sh "$OUTPUT" | cut -f 1)"
}
