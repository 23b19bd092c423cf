#!/usr/bin/env bash
# Type-checks the module for the targets that nothing here can run: those of them that are installed (`rustup target add`).
# The C code of dependencies is not compiled: there is no compiler for it, and a check links nothing.
set -euo pipefail
targets=(x86_64-pc-windows-gnu aarch64-apple-darwin)
python=3.11

installed=$(rustup target list --installed 2>/dev/null || true)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Stands for the compiler and the archiver: leaves an empty file wherever one is wanted.
cat >"$work/cc" <<'SH'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    -o) : >"$2" ;;
    *.a) : >"$1" ;;
    esac
    shift
done
SH
chmod +x "$work/cc"

for target in "${targets[@]}"; do
    if ! grep -qx "$target" <<<"$installed"; then
        echo "$target: not installed, so not checked (rustup target add $target)"
        continue
    fi
    name=${target//-/_}
    env -u PYO3_PYTHON "CC_$name=$work/cc" "AR_$name=$work/cc" PYO3_CROSS=1 "PYO3_CROSS_PYTHON_VERSION=$python" \
        "${CARGO:-cargo}" check --quiet --locked --target "$target" --features "${1:-python,fleet}"
    echo "$target: checked"
done
