#!/usr/bin/env bash
# What a machine with an NVIDIA GPU is needed for, in one go: the tests, NVIDIA's sanitizer, the
# benchmarks. Each part has a time limit, and none stops the next. From the repository's root:
#   tests/gpu/check.sh FOLDER    each part's output goes to FOLDER, a line of each to the terminal
set -uo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

part() { # NAME SECONDS COMMAND...
    local name=$1 limit=$2 began=$SECONDS outcome=passed
    shift 2
    timeout "$limit" "$@" >"$folder/$name.log" 2>&1 || outcome="FAILED ($?)"
    printf '%-12s %-12s %4d s  %s\n' "$name" "$outcome" $((SECONDS - began)) \
        "$(grep . "$folder/$name.log" | tail -n 1)"
}
tests() { # NAME SECONDS ARGUMENTS-OF-PYTEST...
    local name=$1 limit=$2
    shift 2
    part "$name" "$limit" python3 -m pytest -m gpu -p no:cacheprovider --tb=short "$@"
}

part info 60 python3 -m ftcore info
tests operations 120 tests/gpu/test_gpu_operations.py
tests attention 120 tests/gpu/test_gpu_attention.py
tests tensors 90 tests/gpu/test_gpu_tensors.py
tests training 150 tests/gpu/test_gpu_training.py -k "not sanitizer and not minilm"
part sanitizer 90 compute-sanitizer --error-exitcode 9 python3 tests/gpu/small_training.py 2
for preset in mrpc-8 mrpc-32 large-512; do
    part "$preset" 120 python3 -m ftcore bench --device cuda --preset "$preset" --rounds 2
done
tests minilm 120 tests/gpu/test_gpu_training.py -k minilm
tests sanitizers 300 tests/gpu/test_gpu_training.py -k sanitizer
