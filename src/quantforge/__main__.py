"""``python -m quantforge`` is the `quantforge` command."""

import sys

from quantforge.cli import main

if __name__ == "__main__":
    sys.exit(main())
