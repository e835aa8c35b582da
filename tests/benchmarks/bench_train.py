"""ftcore beside Hugging Face on MRPC: the train step, peak memory, collating and importing.

    python tests/benchmarks/bench_train.py [--model minilm] [--rounds 5] [--steps 12]

Both sides run their real Trainer.train over the same rows in the same order, each in a process of
its own so that neither changes the other's threads, in alternating rounds so that a busy machine
slows both; a step is the time from one on_step_end to the next, data loading included, and the
first two of each round are left out. Peak memory is that of a process that only trains. Set
OMP_NUM_THREADS to fix the threads of both.
"""

import argparse
import itertools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import add_common_options, hub, load, machine, print_table, summary  # noqa: E402

MODELS = ("bert-base-uncased", "minilm", "distilbert-base-uncased", "tiny-bert")
WARM_UP_STEPS = 2
IMPORTS = {
    side: f"from {side} import AutoModelForSequenceClassification, AutoTokenizer, "
    "DataCollatorWithPadding, Trainer, TrainingArguments"
    for side in ("ftcore", "transformers")
}


class Side:
    """One library, with its data tokenized by its own tokenizer."""

    def __init__(self, name: str, model: str, batch_size: int) -> None:
        self.name, self.model, self.batch_size = name, model, batch_size
        self.library = __import__(name)
        from datasets import load_dataset

        self.tokenizer = self.library.AutoTokenizer.from_pretrained(model)
        rows = load_dataset("glue", "mrpc", split="train")
        self.rows = rows.map(
            lambda batch: self.tokenizer(batch["sentence1"], batch["sentence2"], truncation=True),
            batched=True,
        )

    def train(self, steps: int) -> list[float]:
        """Seconds of each step of a training run, without the first WARM_UP_STEPS."""
        ends: list[float] = []

        class Clock(self.library.TrainerCallback):
            def on_step_end(self, *arguments: Any, **options: Any) -> None:
                ends.append(time.perf_counter())

        model = self.library.AutoModelForSequenceClassification.from_pretrained(
            self.model, num_labels=2
        )
        extra = {} if self.name == "ftcore" else {"use_cpu": True}
        with tempfile.TemporaryDirectory() as folder:
            self.library.Trainer(
                model,
                self.library.TrainingArguments(
                    folder,
                    max_steps=steps + WARM_UP_STEPS,
                    per_device_train_batch_size=self.batch_size,
                    disable_tqdm=True,
                    logging_strategy="no",
                    save_strategy="no",
                    report_to="none",
                    **extra,
                ),
                train_dataset=self.rows,
                data_collator=self.library.DataCollatorWithPadding(tokenizer=self.tokenizer),
                processing_class=self.tokenizer,
                callbacks=[Clock()],
            ).train()
        return [b - a for a, b in itertools.pairwise(ends[WARM_UP_STEPS - 1 :])]

    def collate(self, repetitions: int) -> list[float]:
        """Seconds of each call of the collator on the first rows, as lists in dicts."""
        collator = self.library.DataCollatorWithPadding(tokenizer=self.tokenizer)
        columns = ["input_ids", "token_type_ids", "attention_mask", "label"]
        present = [name for name in columns if name in self.rows.column_names]
        rows = [{name: row[name] for name in present} for row in self.rows.select(range(8))]
        times = []
        for _ in range(repetitions):
            start = time.perf_counter()
            collator(rows)
            times.append(time.perf_counter() - start)
        return times

    def peak_memory(self) -> int:
        """Bytes that this process has held at most."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(side: Side) -> None:
    """Answers lines of standard input, [method, argument], with a line each."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the libraries print goes elsewhere
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(side, method)(*arguments)), file=answers, flush=True)


class Process:
    """A Side in a process of its own."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--serve", name]
        command += ["--model", options.model, "--batch-size", str(options.batch_size)]
        self.name = name
        self.process = subprocess.Popen(
            [*command, "--hub", "."], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, method: str, *arguments: Any) -> Any:
        print(json.dumps([method, *arguments]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the process of {self.name} failed; it says why above")
        return json.loads(answer)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def import_seconds(side: str) -> float:
    code = f"import time; t = time.perf_counter(); {IMPORTS[side]}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def peak_memory(side: str, options: argparse.Namespace) -> float:
    process = Process(side, options)
    process.ask("train", options.steps)
    peak = process.ask("peak_memory")
    process.close()
    return peak


def measure(options: argparse.Namespace) -> dict[str, Any]:
    names = ("ftcore", "transformers")
    figures: dict[str, dict[str, list[float]]] = {
        key: {name: [] for name in names} for key in ("step", "memory", "collate", "import")
    }
    loads = [load()]
    for name in names:
        figures["memory"][name].append(peak_memory(name, options))
    for _ in range(options.rounds):
        for name in names:
            figures["import"][name].append(import_seconds(name))
    sides = [Process(name, options) for name in names]
    for number in range(options.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            figures["collate"][side.name] += side.ask("collate", 200)
            figures["step"][side.name] += side.ask("train", options.steps)
            loads.append(load())
    for side in sides:
        side.close()
    return {
        "machine": machine(),
        "model": options.model,
        "batch_size": options.batch_size,
        "load": {"least": min(loads), "most": max(loads)},
        **{
            key: {name: summary(values) for name, values in sides_of.items()}
            for key, sides_of in figures.items()
        },
    }


def report(result: dict[str, Any]) -> None:
    facts = result["machine"]
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(
        f"{result['model']}, batch {result['batch_size']}, float32; load average "
        f"{result['load']['least']:.1f} to {result['load']['most']:.1f}"
    )
    rows = []
    for key, what, unit, factor in (
        ("step", "train step", "ms", 1e3),
        ("memory", "peak memory", "GiB", 2.0**-30),
        ("collate", "collate 8 rows", "µs", 1e6),
        ("import", "import", "s", 1.0),
    ):
        ours, theirs = result[key]["ftcore"], result[key]["transformers"]

        def shown(figure: dict[str, float], unit: str = unit, factor: float = factor) -> str:
            median, low, high = (factor * figure[k] for k in ("median", "low", "high"))
            spread = f" ({low:.3g} to {high:.3g})" if figure["count"] > 1 else ""
            return f"{median:.3g} {unit}{spread}"

        ratio = theirs["median"] / ours["median"]
        rows.append((what, shown(ours), shown(theirs), f"{ratio:.2f}"))
    print_table(("median (quartiles)", "ftcore", "Hugging Face", "ratio"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=MODELS, default="bert-base-uncased")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4, help="of each side (default: 4)")
    parser.add_argument("--steps", type=int, default=10, help="timed in a round (default: 10)")
    parser.add_argument("--serve", choices=IMPORTS, help=argparse.SUPPRESS)
    add_common_options(parser)
    options = parser.parse_args()
    output = options.json and options.json.resolve()
    with hub(options.hub, [options.model]):
        if options.serve:
            serve(Side(options.serve, options.model, options.batch_size))
            return
        result = measure(options)
    report(result)
    if output:
        output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
