"""ftcore beside Hugging Face on a GPU: steps, the first step, memory, and the chip's share.

Both sides train on the same GPU in turns, each in a process of its own that gives the memory back
when it is the other's turn. Steps are timed many together: a clock that waited for the GPU behind
each would take from both what they gain by not waiting.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ftcore.bench.figures import summary
from ftcore.bench.limit import Batch, needed_flops
from ftcore.bench.measures import Samples, say
from ftcore.bench.process import Process, Refused
from ftcore.bench.report import number, plural, print_table, spread
from ftcore.command_line import CommandError
from ftcore.devices import DeviceInfo, Gpu, device_info

WARM_UP_STEPS = 100
"""Enough for a batch of most shapes to have been seen: a new one is prepared for when it comes."""
STEPS = 100
COMPILED = "transformers, compiled"
_NAMES = {"ftcore": "ftcore", "transformers": "Hugging Face", COMPILED: "torch.compile"}
_KEYS = ("first_step", "step", "gpu_memory")

# Dense operations a second in float16 and bfloat16 with sums in float32, as NVIDIA publishes them.
_PEAKS = {
    r"\bT4$": 65e12,
    r"\bA10$": 125e12,
    r"\bA30$": 165e12,
    r"\bA40$": 149.7e12,
    r"\bA100\b": 312e12,
    r"\bL4$": 121e12,
    r"\bL40S$": 362e12,
    r"\bH100 PCIe$": 756e12,
    r"\bH100 80GB HBM3$": 989e12,
    r"\bH200$": 989e12,
    r"\bB200$": 2250e12,
}

_FOOTER = """\
A step's time is that of all steps behind the warm-up over their number. The first step counts from
the call of train(), with nothing cached from earlier runs. Memory is, for ftcore, what is gone from
the GPU's, but for the context; for Hugging Face, what its tensors have taken (torch's
max_memory_allocated), which leaves out what its allocator keeps beside."""


def find_gpu() -> tuple[Gpu, DeviceInfo]:
    """The GPU to measure on. CommandError: there is none that will do; it says why."""
    info = device_info()
    gpu = next((gpu for gpu in info.gpus if gpu.usable), None)
    if gpu is None:
        raise CommandError(f"--device cuda: no GPU can be used here:\n{info}")
    return gpu, info


def precisions_of(gpu: Gpu, asked: str) -> tuple[str, ...]:
    """The precisions to measure in; "both" are float32 and the one of 16 bits that suits."""
    if asked != "both":
        return (asked,)
    return ("float32", "bfloat16" if gpu.capability >= (8, 0) else "float16")


def peak(name: str) -> float | None:
    """Dense operations a second in 16 bits of a GPU of this name, where they are known."""
    return next((rate for pattern, rate in _PEAKS.items() if re.search(pattern, name)), None)


def flops_of_step(config: Mapping[str, Any], lengths: Sequence[int], batch_size: int) -> float:
    """Operations that a step over rows of these lengths needs on average."""
    whole = needed_flops(config, Batch([*lengths], active_words=0))
    return whole * batch_size / len(lengths)


def environment_of(gpu: Gpu, scratch: str) -> dict[str, str]:
    """The environment of a side: that GPU alone, and caches that hold nothing yet."""
    number = int(gpu.device.removeprefix("cuda:"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {
        "CUDA_VISIBLE_DEVICES": visible.split(",")[number] if visible else str(number),
        "FTCORE_CACHE": tempfile.mkdtemp(prefix="cache-", dir=scratch),
        "TORCHINDUCTOR_CACHE_DIR": tempfile.mkdtemp(prefix="inductor-", dir=scratch),
    }


def measure(
    libraries: Sequence[str],
    precisions: Sequence[str],
    threads: int,
    rounds: int,
    steps: int,
    settings: Mapping[str, Any],
    gpu: Gpu,
) -> tuple[Samples, dict[str, str]]:
    """The samples of each library, and why others were left out."""
    samples, absent = Samples(), {}
    sides = {}
    try:
        for library in libraries:
            own = {
                **settings,
                "gpu": True,
                "compile": library == COMPILED,
                "environment": environment_of(gpu, os.path.dirname(settings["texts"])),
            }
            sides[library] = Process(library.partition(",")[0], threads, own)
            try:
                sides[library].ask("check_gpu")
            except Refused as refusal:
                if library == "ftcore":
                    raise CommandError(f"--device cuda: {refusal}") from refusal
                absent[library] = str(refusal)
                sides.pop(library).__exit__(None, None, None)
        for round_number in range(rounds):
            # Whoever goes first in one round goes last in the next.
            order = list(sides) if round_number % 2 == 0 else list(sides)[::-1]
            for precision in precisions:
                for library in order:
                    _take(samples, sides[library], library, precision, steps)
            say(f"round {round_number + 1} of {rounds} is done")
    finally:
        for side in sides.values():
            side.__exit__(None, None, None)
    return samples, absent


def _take(samples: Samples, side: Any, library: str, precision: str, steps: int) -> None:
    """One run, of which each figure is a sample; a process has one first step in a precision."""
    run: dict[str, float] = {}

    def train() -> list[float]:
        run.update(side.ask("gpu_train", precision, WARM_UP_STEPS, steps))
        return [run["step"]]

    samples.take(f"step_{precision}", library, train)
    if run:
        samples.take(f"gpu_memory_{precision}", library, lambda: [run["gpu_memory"]])
        if library not in samples.values.get(f"first_step_{precision}", {}):
            samples.take(f"first_step_{precision}", library, lambda: [run["first_step"]])


def result(
    samples: Samples, precisions: Sequence[str], gpu: Gpu, flops: float, batch_size: int
) -> dict[str, Any]:
    """{precision: {library: its figures, summaries and what follows from them}}."""
    found: dict[str, Any] = {}
    for precision in precisions:
        sides: dict[str, Any] = {}
        for library, why in samples.refusals.get(f"step_{precision}", {}).items():
            sides[library] = {"refused": why}
        for library in samples.values.get(f"step_{precision}", {}):
            figures: dict[str, Any] = {
                key: summary(samples.values[f"{key}_{precision}"][library]) for key in _KEYS
            }
            seconds = figures["step"]["median"]
            figures["steps_per_second"] = 1 / seconds
            figures["sequences_per_second"] = batch_size / seconds
            rate = None if precision == "float32" else peak(gpu.name)
            if rate is not None:
                figures["share_of_peak"] = flops / seconds / rate
            sides[library] = figures
        found[precision] = sides
    return found


def show(figures: Mapping[str, Any]) -> None:
    """Prints the figures of a run of the benchmark on a GPU."""
    print("; ".join(f"{key} {value}" for key, value in figures["machine"].items()))
    print(
        f"{figures['model']}, batch {figures['batch_size']}, "
        f"{'MRPC lengths' if figures['length'] == 'mrpc' else 'length ' + str(figures['length'])} "
        f"({number(1e-9 * figures['flops'])} G operations a step); "
        f"{plural(figures['rounds'], 'round')} of {plural(figures['steps'], 'step')}"
    )
    for precision, sides in figures["measures"].items():
        print()
        _show_precision(precision, sides)
    print("\n" + _FOOTER)
    for library, why in figures["absent"].items():
        print(f"\n{_NAMES[library]} was left out: {why}")


def _show_precision(precision: str, sides: Mapping[str, Any]) -> None:
    done = {library: side for library, side in sides.items() if "refused" not in side}
    others = [library for library in done if library != "ftcore"]
    header = [precision]
    for library in done:
        header += [_NAMES[library], *(["ratio"] if library in others else [])]
    rows = []
    for what, shown, ratio in _ROWS:
        row = [what]
        for library, side in done.items():
            row.append(shown(side))
            if library in others:
                row.append(ratio(done["ftcore"], side) if "ftcore" in done else "")
        if set(row[1:]) - {"-", ""}:
            rows.append(row)
    print_table(header, rows)
    for library, side in sides.items():
        if "refused" in side:
            print(f"\n{_NAMES[library]} does not do {precision} here: {side['refused']}")


def _spread(key: str, unit: str, factor: float) -> Any:
    return lambda side: spread(side[key], unit, factor)


def _plain(key: str, factor: float = 1.0, unit: str = "") -> Any:
    return lambda side: number(factor * side[key]) + unit if key in side else "-"


def _times(key: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """How many times as long, or as much, they take."""
    return number(theirs[key]["median"] / ours[key]["median"])


def _nothing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return ""


_ROWS = (
    ("train step", _spread("step", "ms", 1e3), partial(_times, "step")),
    ("steps a second", _plain("steps_per_second"), _nothing),
    ("sequences a second", _plain("sequences_per_second"), _nothing),
    ("of the chip's dense peak", _plain("share_of_peak", 100, " %"), _nothing),
    ("first step", _spread("first_step", "s", 1.0), partial(_times, "first_step")),
    ("peak GPU memory", _spread("gpu_memory", "GiB", 2.0**-30), partial(_times, "gpu_memory")),
)
