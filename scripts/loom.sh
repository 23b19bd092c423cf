#!/bin/sh
# Runs the models of the lock-free parts under every schedule that loom finds.
#
#   scripts/loom.sh [NAME]      only models whose name contains NAME
#
# LOOM_MAX_PREEMPTIONS   how often a thread may be interrupted in one run; 3 unless set, each more costs about tenfold
# LOOM_MAX_BRANCHES      points of decision in one run before loom gives up
# LOOM_LOG               1 prints every step of a failing run
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}"
export LOOM_MAX_BRANCHES="${LOOM_MAX_BRANCHES:-20000}"
# Built apart: the flag above would otherwise rebuild everything each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
# The models take seconds, optimising more than this, and across crates, minutes.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0
# One after the other: a model is one thread's work, and its time is easier to see alone.
exec cargo test --release --lib "model::${1:-}" -- --test-threads=1
