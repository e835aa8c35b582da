"""``python -m ftcore demo``: fine-tune a classifier from the command line."""

import os
import sys

# Threads that wait asleep lose little on idle processors, and on busy ones save most of the time.
# OpenMP reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ftcore.demo.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
