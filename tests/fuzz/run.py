"""Fuzzes the tokenizer's C core under the address and undefined-behaviour sanitizers.

    python tests/fuzz/run.py [--seconds N] [target ...]

gives each target, `fuzz_TARGET.c`, the inputs in `corpus/TARGET` and mutations of them for N
seconds: with libFuzzer where clang has it, which keeps what it finds in `build/fuzz`, otherwise
with gcc and `driver.c`. An input that fails is left in `build/fuzz` and printed; the target there,
given that file, fails again.
"""

import argparse
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
FLAGS = [
    *["-std=gnu11", "-Wall", "-Wextra", "-O1", "-g", "-fno-omit-frame-pointer", "-pthread"],
    *["-DFT_FUZZING", f"-I{ROOT / 'csrc'}", f"-I{HERE}"],
    *["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
]
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))


def has_libfuzzer(compiler):
    """Whether it is there and links a target, which takes a package of its own in some systems."""
    if shutil.which(compiler) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        program = (
            b"int LLVMFuzzerTestOneInput(const char *data, long size) { return !data || !size; }"
        )
        command = [compiler, "-fsanitize=fuzzer,address", "-xc", "-", "-o", f"{folder}/target"]
        return subprocess.run(command, input=program, capture_output=True).returncode == 0


def sources(target, libfuzzer):
    core = [*(ROOT / "csrc" / "tokenizer").glob("*.c"), *(ROOT / "csrc" / "common").glob("*.c")]
    core.remove(ROOT / "csrc" / "common" / "memory.c")  # allocations.c is there instead
    support = [path for path in HERE.glob("*.c") if not path.stem.startswith("fuzz_")]
    if libfuzzer:
        support.remove(HERE / "driver.c")
    return [*core, *support, HERE / f"fuzz_{target}.c"]


def build(target, compiler, libfuzzer):
    program = BUILD / target
    BUILD.mkdir(parents=True, exist_ok=True)
    flags = [*FLAGS, *(["-fsanitize=fuzzer"] if libfuzzer else [])]
    command = [compiler, *flags, *sources(target, libfuzzer), "-o", program]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{target} does not compile")
    return program


def command_of(target, program, libfuzzer, seconds, failure):
    corpus, dictionary = HERE / "corpus" / target, HERE / f"{target}.dict"
    if not libfuzzer:
        return [program, failure, str(seconds), *sorted(corpus.iterdir())]
    found = BUILD / f"{target}-corpus"
    found.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-exact_artifact_path={failure}", "-timeout=60"]
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    return [program, *options, found, corpus]


def fuzz(target, compiler, libfuzzer, seconds):
    """Whether the target bore it."""
    program = build(target, compiler, libfuzzer)
    failure, log = BUILD / f"{target}-failure", BUILD / f"{target}.log"
    failure.unlink(missing_ok=True)
    command = command_of(target, program, libfuzzer, seconds, failure)
    with log.open("wb") as output:
        code = subprocess.run(command, stdout=output, stderr=output).returncode
    text = log.read_text(errors="replace")
    if code == 0:
        runs = re.search(r"Done (\d+) runs", text)
        print(f"{target}: {runs.group(1) if runs else 'no'} inputs, none fails", flush=True)
        return True
    print("\n".join(text.splitlines()[-60:]))
    print(f"{target}: failed; all that it said is in {log}")
    if failure.exists():
        print(f"the input: {failure}\nin base64: {base64.b64encode(failure.read_bytes()).decode()}")
    sys.stdout.flush()
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    libfuzzer = has_libfuzzer("clang")
    compiler = "clang" if libfuzzer else os.environ.get("CC", "gcc")
    print(f"fuzzing with {'libFuzzer' if libfuzzer else 'driver.c, compiled by ' + compiler}")
    borne = [fuzz(t, compiler, libfuzzer, options.seconds) for t in options.targets or TARGETS]
    sys.exit(not all(borne))


if __name__ == "__main__":
    main()
