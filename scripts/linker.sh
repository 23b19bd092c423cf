#!/usr/bin/env bash
# Prints the arguments with which `maturin build` lets the linker do more, those that it understands: tried on an empty program.
# The first puts the trained code together, the second keeps one of equal functions. Both are ELF's alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
taken=()
for argument in -Wl,-z,keep-text-section-prefix -Wl,--icf=all; do
    # A linker that only warns of what it does not know has not taken it.
    if said=$(${RUSTC:-rustc} --crate-name empty --out-dir "$work" "-Clink-arg=$argument" - 2>&1 <<<'fn main() {}') &&
        ! grep -qiE 'unknown|unrecognized|ignored' <<<"$said"; then
        taken+=("-Clink-arg=$argument")
    else
        echo "the linker does not take $argument" >&2
    fi
done
if [ "${#taken[@]}" -gt 0 ]; then echo "-- ${taken[*]}"; fi
