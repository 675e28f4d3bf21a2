# Shared by the scripts beside it; sourced, never run.
# shellcheck shell=bash

# Everything a person reads goes to standard error: standard output carries results.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
# die STATUS WHAT-FAILED-AND-WHAT-TO-DO [LINE]...
die() {
    local status=$1
    shift
    say "$1"
    shift
    local line
    for line; do printf '    %s\n' "$line" >&2; done
    exit "$status"
}
# The status that says "not run, because something is missing here".
export MISSING=125

cache_dir() { printf '%s\n' "${BARKEEP_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set: set BARKEEP_CACHE to a directory to cache in}/.cache}/barkeep}"; }
