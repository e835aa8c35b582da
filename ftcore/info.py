"""The command line: ``python -m ftcore info``."""

import argparse
import json
from typing import Any

from ftcore.devices import device_info


def add_command(commands: Any) -> None:
    """Adds the command and its options to the subparsers of the command line."""
    info = commands.add_parser(
        "info",
        help="say what ftcore can compute on here",
        description=(
            "Says what ftcore can compute on here: the CPU's kernels and oneDNN, NVIDIA GPUs, "
            "their driver, cuDNN, cuBLASLt and NVRTC, and why what is there will not do."
        ),
    )
    info.add_argument("--json", action="store_true", help="the same as JSON")
    info.set_defaults(run=run_info)


def run_info(options: argparse.Namespace) -> None:
    """Print what there is."""
    found = device_info()
    print(json.dumps(found.to_dict(), indent=2) if options.json else found)
