"""``python -m ftcore demo``, ``bench`` and ``info``: ftcore's command line."""

import argparse
import sys
from collections.abc import Sequence

from ftcore import info
from ftcore.bench import cli as bench
from ftcore.command_line import CommandError
from ftcore.demo import cli as demo


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m ftcore", description="ftcore's command line.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo.add_command(commands)
    bench.add_command(commands)
    info.add_command(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except CommandError as error:
        print(f"ftcore: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ftcore: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
