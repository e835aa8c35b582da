"""MiniLM-L6 on MRPC, three epochs with default arguments, over several seeds.

    python tests/benchmarks/bench_accuracy.py [--hf] [--precision both] [--seeds 42 43 44]

Prints accuracy and F1 on the validation rows, of ftcore and, with --hf, of Hugging Face.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import add_common_options, hub  # noqa: E402

from ftcore.bench import machine  # noqa: E402
from ftcore.bench.report import print_table  # noqa: E402


def compute_metrics(prediction: Any) -> dict[str, float]:
    guesses, labels = prediction.predictions.argmax(axis=-1), prediction.label_ids
    hits = ((guesses == 1) & (labels == 1)).sum()
    return {
        "accuracy": float((guesses == labels).mean()),
        "f1": float(2 * hits / ((guesses == 1).sum() + (labels == 1).sum())),
    }


def fine_tune(name: str, precision: str, seed: int, epochs: float) -> dict[str, float]:
    """The metrics of one run of the script that the course teaches."""
    library = __import__(name)
    from datasets import load_dataset

    library.set_seed(seed)
    tokenizer = library.AutoTokenizer.from_pretrained("minilm")
    data = load_dataset("glue", "mrpc").map(
        lambda rows: tokenizer(rows["sentence1"], rows["sentence2"], truncation=True),
        batched=True,
    )
    model = library.AutoModelForSequenceClassification.from_pretrained("minilm", num_labels=2)
    extra = {} if name == "ftcore" else {"use_cpu": True}
    with tempfile.TemporaryDirectory() as folder:
        trainer = library.Trainer(
            model,
            library.TrainingArguments(
                folder,
                seed=seed,
                num_train_epochs=epochs,
                bf16=precision == "bfloat16",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                **extra,
            ),
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            data_collator=library.DataCollatorWithPadding(tokenizer=tokenizer),
            processing_class=tokenizer,
            compute_metrics=compute_metrics,
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        metrics = trainer.evaluate()
    return {
        "accuracy": metrics["eval_accuracy"],
        "f1": metrics["eval_f1"],
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hf", action="store_true", help="run Hugging Face's Trainer too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--precision", choices=("float32", "bfloat16", "both"), default="float32")
    parser.add_argument("--epochs", type=float, default=3.0)
    add_common_options(parser)
    options = parser.parse_args()
    output = options.json and options.json.resolve()
    results: dict[str, Any] = {"machine": machine.describe(), "seeds": options.seeds}
    names = ["ftcore", "transformers"] if options.hf else ["ftcore"]
    precisions = [options.precision]
    if options.precision == "both":
        precisions = ["float32", "bfloat16"]
    sides = [(name, precision) for name in names for precision in precisions]
    with hub(options.hub, ["minilm"]):
        for side in sides:
            results[" ".join(side)] = [
                fine_tune(*side, seed, options.epochs) for seed in options.seeds
            ]
    rows = []
    for name in map(" ".join, sides):
        for seed, run in zip(options.seeds, results[name], strict=True):
            rows.append((name, str(seed), *(run[key] for key in ("accuracy", "f1", "seconds"))))
        means = (
            statistics.mean(run[key] for run in results[name])
            for key in ("accuracy", "f1", "seconds")
        )
        rows.append((name, "mean", *means))
    print("; ".join(f"{key} {value}" for key, value in results["machine"].items()))
    print_table(
        ("", "seed", "accuracy", "F1", "seconds"),
        [(n, s, f"{a:.4f}", f"{f:.4f}", f"{t:.0f}") for n, s, a, f, t in rows],
    )
    if output:
        output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
