"""One library's side of the benchmark, served by a process of its own.

It is run by its path, so that the process of Hugging Face's side never imports ftcore. Its argument
is a JSON object (see `Side`); it reads lines of standard input, [method, *arguments], and answers
each with a line: {"result": ...}, or {"error": type's name, "message": ...}.
"""

import contextlib
import gc
import importlib
import itertools
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

WARM_UP_STEPS = 2
COLLATIONS = 200


class Side:
    """One library over the rows of a file, through the names that both have.

    settings: "library" ("ftcore" or "transformers"), "model" (for from_pretrained), "texts" (a JSON
    file: {"train" and "evaluation": {"first", "second", "label"}}), "max_length", "batch_size",
    and where it trains on a GPU "gpu": true and "compile": whether torch compiles the model.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.library = importlib.import_module(settings["library"])
        self.model_path = settings["model"]
        self.batch_size = settings["batch_size"]
        self.max_length = settings["max_length"]
        self.gpu = settings.get("gpu", False)
        self.compile = settings.get("compile", False)
        with open(settings["texts"], encoding="utf-8") as file:
            self.texts = json.load(file)
        self.tokenizer = self.library.AutoTokenizer.from_pretrained(self.model_path)
        self.rows: dict[str, Any] = {}

    def encoder(self) -> Callable[[dict[str, list[Any]]], Any]:
        """A function from rows of texts to token ids, cut to max_length, that holds nothing but the
        tokenizer: datasets hashes whatever it holds."""
        tokenizer, max_length = self.tokenizer, self.max_length

        def encode(rows: dict[str, list[Any]]) -> Any:
            return tokenizer(rows["first"], rows["second"], truncation=True, max_length=max_length)

        return encode

    def dataset(self, split: str) -> Any:
        """A split, not tokenized: a datasets.Dataset."""
        import datasets

        datasets.disable_progress_bars()
        datasets.disable_caching()
        return datasets.Dataset.from_dict(self.texts[split])

    def tokenized(self, split: str) -> Any:
        """A split, tokenized: a datasets.Dataset, or a list of dicts without that package."""
        if split not in self.rows:
            try:
                self.rows[split] = self.dataset(split).map(self.encoder(), batched=True)
            except ImportError:
                columns = {**self.encoder()(self.texts[split]), "label": self.texts[split]["label"]}
                values = zip(*columns.values(), strict=True)
                self.rows[split] = [dict(zip(columns, row, strict=True)) for row in values]
        return self.rows[split]

    def tokenize(self) -> list[float]:
        """Seconds of one call of the tokenizer with all training rows."""
        encode = self.encoder()
        start = time.perf_counter()
        encode(self.texts["train"])
        return [time.perf_counter() - start]

    def map(self) -> list[float]:
        """Seconds of one Dataset.map of the tokenizer over the training rows."""
        rows, encode = self.dataset("train"), self.encoder()
        start = time.perf_counter()
        rows.map(encode, batched=True)
        return [time.perf_counter() - start]

    def collate(self) -> list[float]:
        """Seconds of each call of the collator on the first batch's rows, as lists in dicts."""
        collator = self.library.DataCollatorWithPadding(tokenizer=self.tokenizer)
        unused = {"first", "second"}
        rows = [
            {
                name: value
                for name, value in self.tokenized("train")[i].items()
                if name not in unused
            }
            for i in range(self.batch_size)
        ]
        times = []
        for _ in range(COLLATIONS):
            start = time.perf_counter()
            collator(rows)
            times.append(time.perf_counter() - start)
        return times

    @contextlib.contextmanager
    def trainer(self, precision: str, steps: int, callbacks: Sequence[Any] = ()) -> Iterator[Any]:
        """A Trainer with all defaults but those that would print or write files."""
        model = self.library.AutoModelForSequenceClassification.from_pretrained(self.model_path)
        with tempfile.TemporaryDirectory() as folder:
            arguments = self.library.TrainingArguments(
                folder,
                max_steps=steps,
                per_device_train_batch_size=self.batch_size,
                per_device_eval_batch_size=self.batch_size,
                bf16=precision == "bfloat16",
                fp16=precision == "float16",
                use_cpu=not self.gpu,
                **({"torch_compile": True} if self.compile else {}),
                disable_tqdm=True,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
            )
            yield self.library.Trainer(
                model,
                arguments,
                train_dataset=self.tokenized("train"),
                eval_dataset=self.tokenized("evaluation"),
                data_collator=self.library.DataCollatorWithPadding(tokenizer=self.tokenizer),
                processing_class=self.tokenizer,
                callbacks=list(callbacks),
            )

    def train(self, precision: str, steps: int) -> list[float]:
        """Seconds of each step of a training run, without the first WARM_UP_STEPS."""
        ends: list[float] = []

        class Clock(self.library.TrainerCallback):  # type: ignore[misc, name-defined]
            def on_step_end(self, *arguments: Any, **options: Any) -> None:
                ends.append(time.perf_counter())

        with self.trainer(precision, WARM_UP_STEPS + steps, [Clock()]) as trainer:
            trainer.train()
        return [b - a for a, b in itertools.pairwise(ends[WARM_UP_STEPS - 1 :])]

    def evaluate(self, precision: str) -> list[float]:
        """Seconds of one Trainer.evaluate over the evaluation rows."""
        with self.trainer(precision, steps=1) as trainer:
            start = time.perf_counter()
            trainer.evaluate()
            return [time.perf_counter() - start]

    def peak_memory(self) -> list[int]:
        """Bytes that this process has held at most."""
        with contextlib.suppress(OSError), open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return [int(line.split()[1]) * 1024]
        return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]

    def gpu_train(self, precision: str, warm_up: int, steps: int) -> dict[str, float]:
        """A training run on the GPU. "first_step": seconds from its beginning to the end of the
        first step; "step": seconds of each of the `steps` behind the warm-up, which are timed as a
        whole, so that nothing is waited for between them; "gpu_memory": bytes at most."""
        side, ends, last = self, {}, warm_up + steps
        running: list[Any] = []

        class Clock(self.library.TrainerCallback):  # type: ignore[misc, name-defined]
            def on_step_end(self, arguments: Any, state: Any, *others: Any, **options: Any) -> None:
                if state.global_step in (1, warm_up, last):
                    side.wait(running[0])
                    ends[state.global_step] = time.perf_counter()

        self.begin_memory()
        with self.trainer(precision, last, [Clock()]) as trainer:
            running.append(trainer)
            start = time.perf_counter()
            trainer.train()
            memory = self.gpu_memory()
        del trainer
        running.clear()
        self.release_memory()
        return {
            "first_step": ends[1] - start,
            "step": (ends[last] - ends[warm_up]) / steps,
            "gpu_memory": memory,
        }

    def check_gpu(self) -> str:
        """The version of CUDA that the side runs on. ValueError: it does not see a GPU."""
        import torch

        if not torch.cuda.is_available():
            raise ValueError(f"torch {torch.__version__} sees no GPU here")
        return str(torch.version.cuda)

    def wait(self, trainer: Any) -> None:
        """Returns when the GPU has done all that the trainer asked for."""
        import torch

        torch.cuda.synchronize()

    def begin_memory(self) -> None:
        """What `gpu_memory` says counts from here on."""
        import torch

        torch.cuda.reset_peak_memory_stats()

    def gpu_memory(self) -> int:
        """The bytes of the GPU's memory that tensors have taken at most."""
        import torch

        return torch.cuda.max_memory_allocated()

    def release_memory(self) -> None:
        """Leaves the GPU's memory to the other side."""
        import torch

        gc.collect()
        torch.cuda.empty_cache()


class FtcoreSide(Side):
    """ftcore's side, which also says what the machine can do, and where a step's time goes."""

    def products(self, shapes: list[list[int]], precision: str, passes: int) -> list[float]:
        """Seconds of each pass over the products of a step and nothing else."""
        from ftcore import _core

        return _core.measure_products([(r, i, o) for r, i, o in shapes], precision, passes=passes)

    def stream(self, elements: int, passes: int) -> list[float]:
        """Seconds of each pass that moves memory as AdamW does."""
        from ftcore import _core

        return _core.measure_stream(elements, passes=passes)

    def profile(self, precision: str, steps: int) -> dict[str, Any]:
        """The batches of `train`, taken apart: {"steps", "seconds": of all steps, "operations":
        [[operation, [rows, in, out] or [], calls, seconds]]}, the warm-up left out."""
        import numpy as np

        from ftcore import _core
        from ftcore.training.loader import make_loader

        model = self.library.AutoModelForSequenceClassification.from_pretrained(self.model_path)
        core = _core.Model(model.config.core(), profile=True)
        core.copy_state(model.core)
        core.precision = precision
        collator = self.library.DataCollatorWithPadding(tokenizer=self.tokenizer)
        loader = make_loader(model, self.tokenized("train"), collator, self.batch_size)
        loader.check(needs_labels=True)
        core.problem_type = model.core.problem_type
        batches = loader.batches(_core.shuffled_order(loader.rows, 42))
        groups, group_of = (
            [(5e-5, 0.9, 0.999, 1e-8, 0.0)],
            np.zeros(len(core.parameters()), np.int32),
        )

        def run(first: int, count: int) -> float:
            start = time.perf_counter()
            for step in range(first, first + count):
                core.train_step([next(batches)], 1.0, 42, groups, group_of, step)
            return time.perf_counter() - start

        run(1, WARM_UP_STEPS)
        before = {(name, shape): (calls, s) for name, shape, calls, s in core.profile()}
        seconds = run(1 + WARM_UP_STEPS, steps)
        operations = []
        for name, shape, calls, total in core.profile():
            calls_before, total_before = before.get((name, shape), (0, 0.0))
            if calls > calls_before:
                operations.append([name, shape, calls - calls_before, total - total_before])
        return {"steps": steps, "seconds": seconds, "operations": operations}

    def check_gpu(self) -> str:
        found = self.library.device_info()
        if found.default_device == "cpu":
            raise ValueError(str(found))
        return str(found.libraries["driver"].version)

    def wait(self, trainer: Any) -> None:
        # What is read of a GPU's memory is what is there when all before it is done.
        core = trainer.model.core
        core.parameter(len(core.parameters()) - 1)

    def begin_memory(self) -> None:
        from ftcore import _core

        self.free_before = _core.cuda_free_memory(0)

    def gpu_memory(self) -> int:
        """The bytes of the GPU's memory that are gone since: nothing is given back in a run."""
        from ftcore import _core

        return self.free_before - _core.cuda_free_memory(0)

    def release_memory(self) -> None:
        gc.collect()


def serve(side: Side) -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the libraries print goes elsewhere
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            answer = {"result": getattr(side, method)(*arguments)}
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    options = json.loads(sys.argv[1])
    serve((FtcoreSide if options["library"] == "ftcore" else Side)(options))
