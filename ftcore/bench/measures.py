"""What is measured, and the order in which the sides take turns."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ftcore.bench import machine
from ftcore.bench.figures import summary
from ftcore.bench.limit import STREAM_ELEMENTS, Product
from ftcore.bench.process import Process, Refused, busy_process, import_seconds
from ftcore.command_line import CommandError

NAMES = ("import", "tokenize", "map", "collate", "step", "evaluate", "memory")
PASSES = 3
"""Passes over the limit's products and stream in a round."""
MEMORY_STEPS = 4


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure: of NAMES, on which libraries, how often."""

    names: Sequence[str]
    libraries: Sequence[str]
    precisions: Sequence[str]
    threads: int
    rounds: int
    steps: int
    busy: bool
    settings: dict[str, Any]
    products: list[Product]


class Samples:
    """The times of each measure and library, what they refused, and the load meanwhile."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}
        self.refusals: dict[str, dict[str, str]] = {}
        self.loads = [machine.load()]

    def take(self, key: str, library: str, call: Callable[[], list[float]]) -> None:
        """Adds what the call gives. A measure that a library refused, or ftcore, is left out."""
        refused = self.refusals.get(key, {})
        if library in refused or "ftcore" in refused:
            return
        try:
            values = call()
        except Refused as refusal:
            if not key.endswith("float16"):
                raise CommandError(f"{library} refused to {key}: {refusal}") from refusal
            self.refusals.setdefault(key, {})[library] = str(refusal)
            return
        self.values.setdefault(key, {}).setdefault(library, []).extend(values)
        self.loads.append(machine.load())

    def summaries(self) -> dict[str, dict[str, Any]]:
        """{measure: {library: its summary or {"refused": why}, "ratio": how many times as long or
        as much Hugging Face takes}}."""
        found: dict[str, dict[str, Any]] = {}
        for key in {**self.values, **self.refusals}:
            sides: dict[str, Any] = {k: summary(v) for k, v in self.values.get(key, {}).items()}
            sides |= {k: {"refused": why} for k, why in self.refusals.get(key, {}).items()}
            medians = [sides.get(k, {}).get("median") for k in ("ftcore", "transformers")]
            if None not in medians:
                sides["ratio"] = medians[1] / medians[0]
            found[key] = sides
        return found


def measure(plan: Plan) -> Samples:
    """Measures everything that the plan names; says on standard error how far it is."""
    samples = Samples()
    if "memory" in plan.names:
        _measure_memory(plan, samples)
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(Process(library, plan.threads, plan.settings))
            for library in plan.libraries
        ]
        for number in range(plan.rounds):
            # Whoever goes first in one round goes last in the next.
            _measure_round(plan, samples, sides if number % 2 == 0 else sides[::-1])
            say(f"round {number + 1} of {plan.rounds} is done")
    samples.loads.append(machine.load())
    return samples


def _measure_memory(plan: Plan, samples: Samples) -> None:
    """The peak of processes that do nothing but train."""
    for precision in plan.precisions:
        for library in plan.libraries:
            with Process(library, plan.threads, plan.settings) as side:

                def peak(side: Process = side, precision: str = precision) -> list[float]:
                    side.ask("train", precision, MEMORY_STEPS)
                    return side.ask("peak_memory")

                samples.take(f"memory_{precision}", library, peak)
    say("memory is done")


def _measure_round(plan: Plan, samples: Samples, sides: Sequence[Process]) -> None:
    def ask(key: str, method: str, *arguments: Any) -> None:
        for side in sides:
            samples.take(key, side.library, partial(side.ask, method, *arguments))

    if "import" in plan.names:
        for side in sides:
            seconds = partial(import_seconds, side.library, plan.threads)
            samples.take("import", side.library, seconds)
    for name in ("tokenize", "map", "collate"):
        if name in plan.names:
            ask(name, name)
    for precision in plan.precisions:
        if "step" in plan.names:
            ask(f"step_{precision}", "train", precision, plan.steps)
            _measure_limit(plan, samples, sides, precision)
        if plan.busy:
            with busy_process():
                ask(f"busy_step_{precision}", "train", precision, plan.steps)
        if "evaluate" in plan.names:
            ask(f"evaluate_{precision}", "evaluate", precision)


def _measure_limit(plan: Plan, samples: Samples, sides: Sequence[Process], precision: str) -> None:
    if samples.refusals.get(f"step_{precision}", {}).get("ftcore") or not plan.products:
        return
    side = next(side for side in sides if side.library == "ftcore")
    samples.take(
        f"products_{precision}",
        "ftcore",
        partial(side.ask, "products", plan.products, precision, PASSES),
    )
    samples.take("stream", "ftcore", partial(side.ask, "stream", STREAM_ELEMENTS, PASSES))


def profile(plan: Plan) -> dict[str, dict[str, Any]]:
    """What `FtcoreSide.profile` gives, for each precision that ftcore does not refuse."""
    found = {}
    for precision in plan.precisions:
        with Process("ftcore", plan.threads, plan.settings) as side:
            try:
                found[precision] = side.ask("profile", precision, plan.steps)
            except Refused as refusal:
                found[precision] = {"refused": str(refusal)}
    return found


def say(what: str) -> None:
    print(f"ftcore: {what}", file=sys.stderr, flush=True)
