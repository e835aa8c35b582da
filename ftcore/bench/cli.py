"""The command line: ``python -m ftcore bench``."""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from ftcore import _core
from ftcore.bench import gpu, limit, machine, measures, models, report, texts
from ftcore.bench.side import WARM_UP_STEPS
from ftcore.command_line import CommandError, count

_COMPARED = ("torch", "transformers", "accelerate", "datasets")
_PRECISIONS = {
    "float32": ("float32",),
    "bfloat16": ("bfloat16",),
    "float16": ("float16",),
    "both": ("float32", "bfloat16"),
}
_PRESETS = {
    "mrpc-8": ("bert-base", 8, None),
    "mrpc-32": ("bert-base", 32, None),
    "large-512": ("bert-large", 8, 512),
}
"""Model, batch size and length (None: MRPC's)."""
_STEPS = {"cpu": 10, "cuda": gpu.STEPS}
_EVALUATION_SHARE = 9
"""MRPC has nine rows to train on for one to evaluate on."""


def _length(text: str) -> int | None:
    if text == "mrpc":
        return None
    try:
        length = int(text)
    except ValueError:
        length = 0
    if length < texts.SPECIAL:
        raise argparse.ArgumentTypeError(
            f"must be 'mrpc' or a number of tokens of at least {texts.SPECIAL}, got {text!r}"
        )
    return length


def _measures(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in measures.NAMES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is none of {', '.join(measures.NAMES)} (separate them by commas)"
            )
    return names


def add_command(commands: Any) -> None:
    """Adds the command and its options to the subparsers of the command line."""
    bench = commands.add_parser(
        "bench",
        help="compare ftcore with Hugging Face's Trainer on this machine",
        description=(
            "Measures ftcore beside Hugging Face's Trainer: each in a process of its own, over the "
            "same rows in the same order with the same number of threads, in turns, so that "
            "whatever else the machine does slows both. Needs no data; texts are made up, with the "
            "lengths of MRPC's. Without torch, transformers, accelerate and datasets it measures "
            "ftcore alone."
        ),
    )
    bench.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where both sides train (default: cpu); on a GPU only the step is measured, its "
        "throughput, its first time and its memory",
    )
    bench.add_argument(
        "--preset",
        choices=_PRESETS,
        help="instead of --model, --batch-size and --length: BERT-base over MRPC's lengths in "
        "batches of 8 or 32, or BERT-large over 512 tokens in batches of 8",
    )
    bench.add_argument(
        "--model",
        default="bert-base",
        metavar="NAME",
        help=f"with random weights: {', '.join(models.SIZES)} (default: bert-base); or a model's "
        "folder (./minilm where a size has its name) or its name on the hub",
    )
    bench.add_argument("--batch-size", type=count, default=8, metavar="N", help="default: 8")
    bench.add_argument(
        "--length",
        type=_length,
        metavar="N|mrpc",
        help="tokens of every row, or 'mrpc': as many as MRPC's have (default)",
    )
    bench.add_argument(
        "--threads",
        type=count,
        metavar="N",
        help="of each side, on as many processors (default: OMP_NUM_THREADS, or one a core)",
    )
    bench.add_argument(
        "--precision",
        choices=_PRECISIONS,
        default="both",
        help="of the step, its memory and evaluation, on both sides (default: both, float32 and "
        "bfloat16; on GPUs that are older than bfloat16, float32 and float16)",
    )
    bench.add_argument("--rounds", type=count, default=4, metavar="N", help="default: 4")
    bench.add_argument(
        "--steps",
        type=count,
        metavar="N",
        help="timed in a round (default: {cpu}; on a GPU {cuda})".format_map(_STEPS),
    )
    bench.add_argument(
        "--rows",
        type=count,
        default=3668,
        metavar="N",
        help="to tokenize and to train on; a ninth as many to evaluate on (default: 3668, MRPC's)",
    )
    bench.add_argument(
        "--only",
        type=_measures,
        metavar="NAME,...",
        help=f"measure these alone, of {', '.join(measures.NAMES)}",
    )
    bench.add_argument(
        "--busy", action="store_true", help="time the step beside a busy process too"
    )
    bench.add_argument(
        "--profile", action="store_true", help="show where the step's time goes, by operation"
    )
    bench.add_argument(
        "--compile",
        action="store_true",
        help="on a GPU: measure Hugging Face with torch.compile too",
    )
    bench.add_argument(
        "--json",
        type=pathlib.Path,
        metavar="FILE",
        help="write the figures to this file too, in seconds, bytes and operations",
    )
    bench.set_defaults(run=run_bench)


def run_bench(options: argparse.Namespace) -> None:
    """Prepare model and rows, measure, report."""
    _check_output(options.json)
    _complete(options)
    if options.device == "cuda":
        run_on_gpu(options)
        return
    threads = _threads(options.threads)
    described = machine.describe()
    with (
        machine.confined_to(machine.processors()[:threads]),
        tempfile.TemporaryDirectory(prefix="ftcore-bench-") as folder,
        _quiet_hub(),
    ):
        result = {
            "machine": described,
            **_measure(options, threads, pathlib.Path(folder)),
        }
    report.show(result)
    _write(options.json, result)


def run_on_gpu(options: argparse.Namespace) -> None:
    """The same where both sides train on a GPU."""
    chosen, info = gpu.find_gpu()
    threads = _threads(options.threads)
    precisions = gpu.precisions_of(chosen, options.precision)
    libraries = ["ftcore"]
    if _can_compare():
        libraries += ["transformers", *([gpu.COMPILED] if options.compile else [])]
    with tempfile.TemporaryDirectory(prefix="ftcore-bench-") as folder, _quiet_hub():
        work = _prepare(options, pathlib.Path(folder))
        lengths = [len(row) for row in work.ids]
        flops = gpu.flops_of_step(work.model.config.core(), lengths, options.batch_size)
        samples, absent = gpu.measure(
            libraries, precisions, threads, options.rounds, options.steps, work.settings, chosen
        )
    result = {
        "machine": {
            "GPU": chosen.name,
            **{name: library.version for name, library in info.libraries.items()},
            **machine.describe(),
        },
        "model": work.model.title,
        "batch_size": options.batch_size,
        "length": options.length or "mrpc",
        "rounds": options.rounds,
        "steps": options.steps,
        "flops": flops,
        "absent": absent,
        "measures": gpu.result(samples, precisions, chosen, flops, options.batch_size),
    }
    gpu.show(result)
    _write(options.json, result)


def _complete(options: argparse.Namespace) -> None:
    """Gives options that depend on others their values; refuses those that do not go together."""
    if options.preset:
        options.model, options.batch_size, options.length = _PRESETS[options.preset]
    if options.device == "cuda":
        given = {"--only": options.only, "--busy": options.busy, "--profile": options.profile}
        for name in (name for name, value in given.items() if value):
            raise CommandError(f"{name} is for --device cpu")
    elif options.compile:
        raise CommandError("--compile is for --device cuda")
    elif options.precision == "float16":
        raise CommandError("--precision float16 is for --device cuda")
    options.only = options.only or list(measures.NAMES)
    options.steps = options.steps or _STEPS[options.device]


def _write(path: pathlib.Path | None, result: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(result, indent=2) + "\n")


@dataclasses.dataclass
class _Work:
    """What both sides do: the model, its rows' texts and token ids, and settings of `Side`."""

    model: models.Model
    texts: dict[str, texts.Texts]
    ids: list[list[int]]
    settings: dict[str, Any]


def _prepare(options: argparse.Namespace, scratch: pathlib.Path) -> _Work:
    model = models.find(options.model, scratch)
    positions = model.config.max_position_embeddings
    if options.length is not None and options.length > positions:
        raise CommandError(f"--length {options.length}: {model.title} takes at most {positions}")
    made = _make_texts(model, options)
    path = scratch / "texts.json"
    path.write_text(json.dumps(made))
    max_length = options.length or positions
    ids = model.tokenizer(
        made["train"]["first"], made["train"]["second"], truncation=True, max_length=max_length
    )["input_ids"]
    settings = {
        "model": model.path,
        "texts": str(path),
        "max_length": max_length,
        "batch_size": options.batch_size,
    }
    return _Work(model, made, ids, settings)


def _measure(options: argparse.Namespace, threads: int, scratch: pathlib.Path) -> dict[str, Any]:
    last = WARM_UP_STEPS + options.steps
    needed = options.batch_size * last
    if options.rows < needed:
        raise CommandError(
            f"--rows {options.rows} is too few: {last} steps of {options.batch_size} rows (two of "
            f"them to warm up) need {needed}"
        )
    work = _prepare(options, scratch)
    model, made = work.model, work.texts
    batch = limit.typical_batch(work.ids, options.batch_size, WARM_UP_STEPS, last)
    core = model.config.core()
    plan = measures.Plan(
        names=options.only,
        libraries=("ftcore", "transformers") if _can_compare() else ("ftcore",),
        precisions=_PRECISIONS[options.precision],
        threads=threads,
        rounds=options.rounds,
        steps=options.steps,
        busy=options.busy,
        settings=work.settings,
        products=limit.measured_products(core, batch) if _has_onednn() else [],
    )
    samples = measures.measure(plan)
    summaries = samples.summaries()
    machine_times = {
        key: summaries.pop(key)["ftcore"]
        for key in [*summaries]
        if key.startswith("products_") or key == "stream"
    }
    return {
        "model": model.title,
        "batch_size": options.batch_size,
        "length": options.length or "mrpc",
        "rows": {split: len(made[split]["label"]) for split in made},
        "threads": threads,
        "rounds": options.rounds,
        "steps": options.steps,
        "tokens": batch.tokens,
        "load": {
            "before": samples.loads[0],
            "least": min(samples.loads),
            "most": max(samples.loads),
        },
        "compared": len(plan.libraries) == 2,
        "measures": summaries,
        "limit": {
            precision: limit.step_limit(
                core,
                batch,
                precision,
                machine_times[f"products_{precision}"]["median"],
                machine_times["stream"]["median"],
                summaries[f"step_{precision}"]["ftcore"]["median"],
            )
            for precision in plan.precisions
            if f"products_{precision}" in machine_times
        },
        "profile": measures.profile(plan) if options.profile else {},
    }


def _make_texts(model: models.Model, options: argparse.Namespace) -> dict[str, texts.Texts]:
    rng = np.random.default_rng(0)
    made = {}
    for split, rows in (
        ("train", options.rows),
        ("evaluation", max(1, round(options.rows / _EVALUATION_SHARE))),
    ):
        if options.length is None:
            lengths = texts.mrpc_lengths(rows, rng)
        else:
            lengths = np.full(rows, options.length)
        made[split] = texts.make_texts(model.tokenizer, lengths, model.config.num_labels, rng)
    return made


def _threads(asked: int | None) -> int:
    at_hand = len(machine.processors())
    if asked is None:
        outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        asked, name = machine.cores(), ""
        if outermost:
            name = "OMP_NUM_THREADS="
            try:
                asked = count(outermost)
            except (ValueError, argparse.ArgumentTypeError):
                raise CommandError(f"{name}{outermost}: must be a number of at least 1") from None
    else:
        name = "--threads "
    if asked > at_hand:
        raise CommandError(f"{name}{asked}: there are {at_hand} processors at hand")
    return asked


def _check_output(path: pathlib.Path | None) -> None:
    if path is None:
        return
    is_new = not path.exists()
    try:
        with path.open("a"):
            pass
        if is_new:  # until there is something to write
            path.unlink()
    except OSError as error:
        raise CommandError(f"--json {path}: cannot be written to: {error.strerror}") from error


def _can_compare() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in _COMPARED)


def _has_onednn() -> bool:
    try:
        _core.Backend("cpu", 1)
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keeps huggingface_hub from drawing progress bars in this process."""
    with contextlib.suppress(ImportError):
        import huggingface_hub.utils as hub

        hub.disable_progress_bars()
    yield
