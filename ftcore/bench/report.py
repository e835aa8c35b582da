"""What the benchmark prints."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ftcore.bench.figures import Summary

_FOOTER = """\
limit = needed operations / rate + AdamW's bytes / bandwidth. Needed are the products of the layers
and of attention on real tokens, forward and backward, but for rows of the last layer that do not
reach the classifier. The rate is that of oneDNN at the step's own products, one behind the other
with nothing between them. AdamW reads parameters, gradients and two moments and writes all but the
gradients; rows of the word embedding that were never used are not counted. The bandwidth is that of
a loop that reads four arrays and writes three."""

_NO_LIMIT = """\
What a step takes at least was not measured: this build of ftcore has no oneDNN."""

_QUIET = 0.5
"""The load average a processor, before anything is measured, from which on the report warns."""
_BUSY = """\
The load average was {:.1f} before this began. Other work slows both sides, and Hugging Face more,
so that ratios are too high: measure again when the machine is quiet."""

_LEAST_SHARE = 1e-3
"""Of a step: operations that take less share a line."""

_ALONE = """\
Measured was ftcore alone. For the comparison: pip install 'ftcore[hf]'"""


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("| " + " | ".join(cells) + " |")


def show(result: dict[str, Any]) -> None:
    """Prints the figures of a run of the benchmark."""
    load = result["load"]
    print("; ".join(f"{key} {value}" for key, value in result["machine"].items()))
    print(
        f"{result['model']}, batch {result['batch_size']}, "
        f"{'MRPC lengths' if result['length'] == 'mrpc' else 'length ' + str(result['length'])} "
        f"({result['tokens']} tokens a step); {plural(result['threads'], 'thread')}, "
        f"{plural(result['rounds'], 'round')} of {plural(result['steps'], 'step')}; "
        f"load average {load['least']:.1f} to {load['most']:.1f}\n"
    )
    _show_measures(result)
    if result["limit"]:
        print()
        _show_limit(result)
    elif any("median" in _ours(result, f"step_{p}") for p in ("float32", "bfloat16")):
        print("\n" + _NO_LIMIT)
    for precision, profile in result["profile"].items():
        print()
        _show_profile(precision, profile, result["batch_size"])
    if not result["compared"]:
        print("\n" + _ALONE)
    if load["before"] > _QUIET * result["machine"]["processors"]:
        print("\n" + _BUSY.format(load["before"]))


def _ours(result: dict[str, Any], key: str) -> dict[str, Any]:
    figures: dict[str, Any] = result["measures"].get(key, {}).get("ftcore", {})
    return figures


def _show_measures(result: dict[str, Any]) -> None:
    compared = result["compared"]
    header = ["median (quartiles)", "ftcore", *(["Hugging Face", "ratio"] if compared else [])]
    rows = []
    refusals: dict[tuple[str, str], list[str]] = {}
    for key, sides in sorted(result["measures"].items(), key=lambda item: _place(item[0])):
        what, unit, factor = _described(key, result)
        for library, figures in sides.items():
            if library != "ratio" and "refused" in figures:
                refusals.setdefault((library, figures["refused"]), []).append(what)
        if "ftcore" not in sides or "refused" in sides["ftcore"]:
            continue
        row = [what, spread(sides["ftcore"], unit, factor)]
        if compared:
            theirs = sides.get("transformers", {"refused": ""})
            row.append("-" if "refused" in theirs else spread(theirs, unit, factor))
            row.append(f"{sides['ratio']:.2f}" if "ratio" in sides else "-")
        rows.append(row)
    print_table(header, rows)
    notes = [
        f"{'; '.join(whats)}: not supported here by {library}: {why}"
        for (library, why), whats in refusals.items()
    ]
    ours, theirs = (
        result["measures"].get(f"step_{precision}", {}).get(library, {}).get("median")
        for precision, library in (("bfloat16", "ftcore"), ("float32", "transformers"))
    )
    if ours and theirs:
        notes.append(
            f"ftcore's step in bfloat16 beside Hugging Face's in float32: {theirs / ours:.2f}"
        )
    if notes:
        print("\n" + "\n".join(notes))


_ORDER = ("import", "tokenize", "map", "collate", "step", "busy_step", "evaluate", "memory")


def _place(key: str) -> tuple[int, bool]:
    name, _, precision = key.rpartition("_")
    return _ORDER.index(name or precision), precision == "bfloat16"


def _described(key: str, result: dict[str, Any]) -> tuple[str, str, float]:
    """What a measure is called, the unit it is shown in, and how many there are to its own."""
    rows = result["rows"]
    name, _, precision = key.rpartition("_")
    what, unit, factor = {
        "import": ("import", "s", 1.0),
        "tokenize": (f"tokenize {rows['train']} pairs", "ms", 1e3),
        "map": (f"Dataset.map over {rows['train']} pairs", "ms", 1e3),
        "collate": (f"collate {plural(result['batch_size'], 'row')}", "µs", 1e6),
        "step": ("train step", "ms", 1e3),
        "busy_step": ("train step beside a busy process", "ms", 1e3),
        "evaluate": (f"evaluate {plural(rows['evaluation'], 'row')}", "s", 1.0),
        "memory": ("peak memory of training", "GiB", 2.0**-30),
    }[name or key]
    return (f"{what}, {precision}" if name else what), unit, factor


def spread(figures: Summary, unit: str, factor: float) -> str:
    median, low, high = (number(factor * figures[k]) for k in ("median", "low", "high"))
    return f"{median} {unit}" + (f" ({low} to {high})" if figures["count"] > 1 else "")


def number(value: float) -> str:
    """Three digits, and never an exponent."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def _show_limit(result: dict[str, Any]) -> None:
    rows = []
    for precision, figures in result["limit"].items():
        step = result["measures"][f"step_{precision}"]["ftcore"]["median"]
        rows.append(
            (
                precision,
                f"{figures['ratio']:.2f}",
                f"{number(1e3 * step)} ms ({number(1e3 * step / result['tokens'])} ms a token)",
                f"{number(1e3 * figures['seconds'])} ms",
                f"{number(1e-9 * figures['flops'])} G at "
                f"{number(1e-9 * figures['flops_per_second'])} G/s",
                f"{number(1e-9 * figures['adamw_bytes'])} GB at "
                f"{number(1e-9 * figures['bytes_per_second'])} GB/s",
            )
        )
    header = ("step / limit", "ratio", "step", "limit", "operations", "AdamW's bytes")
    print_table(header, rows)
    print("\n" + _FOOTER)


def _show_profile(precision: str, profile: dict[str, Any], sequences: int) -> None:
    if "refused" in profile:
        print(f"profile, {precision}: not supported here by ftcore: {profile['refused']}")
        return
    steps, whole = profile["steps"], profile["seconds"]
    lines = _profile_lines(profile, sequences)
    rest = whole - sum(line.seconds for line in lines)
    rows = [
        (
            line.name,
            f"{line.calls / steps:g}" if line.calls else "",
            number(1e3 * line.seconds / steps),
            f"{line.seconds / whole:.1%}",
            number(1e-9 * line.flops / line.seconds) if line.flops else "",
        )
        for line in (
            *lines,
            _Line("between operations", seconds=rest),
            _Line("step", seconds=whole),
        )
    ]
    print_table((f"operation, {precision}", "calls a step", "ms a step", "share", "GFLOP/s"), rows)


@dataclasses.dataclass
class _Line:
    name: str
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0


def _profile_lines(profile: dict[str, Any], sequences: int) -> list[_Line]:
    """The operations, longest first. Products of many row counts share a line, but those of one row
    a sequence, the last layer's, have their own."""
    lines: dict[str, _Line] = {}
    for operation, shape, calls, seconds in profile["operations"]:
        name, flops = operation, 0.0
        if shape:
            rows, width, out = shape
            name += f" {width} → {out}" + (", first rows" if rows == sequences else "")
            products = 2 if operation == "linear_backward" else 1
            flops = 2.0 * products * calls * rows * width * out
        line = lines.setdefault(name, _Line(name))
        line.calls, line.seconds = line.calls + calls, line.seconds + seconds
        line.flops += flops
    shown, others = [], _Line("other operations")
    for line in sorted(lines.values(), key=lambda line: -line.seconds):
        if line.seconds >= _LEAST_SHARE * profile["seconds"]:
            shown.append(line)
        else:
            others.calls, others.seconds = others.calls + line.calls, others.seconds + line.seconds
    return [*shown, others] if others.calls else shown


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
