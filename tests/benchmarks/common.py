"""What the benchmarks share: the offline hub, and options."""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextlib.contextmanager
def hub(folder: pathlib.Path | None, models: Sequence[str]) -> Iterator[pathlib.Path]:
    """Makes the current folder one that holds glue/ and these models: the given one, or one that
    FTCORE_TEST_DATA's make_hub.py lays out for the time being."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            data = os.environ.get("FTCORE_TEST_DATA")
            if not data:
                raise SystemExit("set FTCORE_TEST_DATA to the folder that holds make_hub.py")
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            script = pathlib.Path(data).resolve() / "make_hub.py"
            command = [sys.executable, str(script), str(folder), "--models", *models]
            subprocess.run(command, check=True, capture_output=True)
        stack.enter_context(contextlib.chdir(folder))
        yield folder.resolve()


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """--hub and --json, which every benchmark takes."""
    parser.add_argument(
        "--hub", type=pathlib.Path, help="a folder that make_hub.py has laid out already"
    )
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file too")
