"""``python -m figures_pkg`` is the command line."""

import sys

from figures_pkg.cli import main

sys.exit(main())
