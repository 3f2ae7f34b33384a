"""``python -m xdputil``."""

import sys

from xdputil.cli import main

sys.exit(main())
