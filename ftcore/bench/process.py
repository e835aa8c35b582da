"""Processes that the benchmark starts: a library's side, an import, one that is merely busy."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import ftcore
from ftcore.command_line import CommandError

_SIDE = pathlib.Path(__file__).with_name("side.py")
_NAMES = (
    "AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, "
    "TrainingArguments"
)
# It ends with the process that started it, however that one ends.
_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


class Refused(Exception):
    """A side raised ValueError: it does not do what it was asked for, and says why."""


def environment(library: str, threads: int) -> dict[str, str]:
    """The environment of a side: the same number of threads, however they are started."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "FTCORE_THREADS")
    found = {**os.environ, **dict.fromkeys(names, str(threads))}
    found.setdefault("TOKENIZERS_PARALLELISM", "true")
    found["TRANSFORMERS_VERBOSITY"] = "error"
    found["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    if library == "ftcore":
        here = str(pathlib.Path(ftcore.__file__).parents[1])
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return found


class Process:
    """A library's side in a process of its own. A context manager, which ends it."""

    def __init__(self, library: str, threads: int, settings: dict[str, Any]) -> None:
        self.library = library
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by close)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SIDE), json.dumps({"library": library, **settings})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # What it leaves behind where it is killed goes with the folder of the texts.
            env={
                **environment(library, threads),
                "TMPDIR": os.path.dirname(settings["texts"]),
                **settings.get("environment", {}),
            },
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *failure: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if failure[0] is not None:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """The result of a method of `Side`. Raises Refused, or CommandError for other failures."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps([method, *arguments]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        if not line:
            raise CommandError(f"the process of {self.library} ended: {self._last_words()}")
        answer = json.loads(line)
        if "result" in answer:
            return answer["result"]
        if answer["error"] == "ValueError":
            raise Refused(answer["message"])
        failure = f"{answer['error']}: {answer['message']}"
        raise CommandError(f"{self.library} failed at {method}: {failure}")

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"


def import_seconds(library: str, threads: int) -> list[float]:
    """[how long a fresh process takes to import what a script of the course does]."""
    code = (
        f"import time; t = time.perf_counter(); from {library} import {_NAMES}; "
        "print(time.perf_counter() - t)"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(library, threads), check=False
    )
    if done.returncode:
        raise CommandError(f"{library} cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    return [float(done.stdout)]


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """Keeps one processor busy while what is inside runs."""
    # Where the benchmark is interrupted, so is this: nobody wants to read where it was.
    process = subprocess.Popen([sys.executable, "-c", _BUSY], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()
