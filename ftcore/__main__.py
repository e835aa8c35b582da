"""``python -m ftcore demo``: fine-tune a classifier from the command line."""

import sys

from ftcore.demo.cli import main

if __name__ == "__main__":
    sys.exit(main())
