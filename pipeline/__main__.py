"""``python -m pipeline``: the steps of continuous integration."""

import sys

from pipeline.cli import main

sys.exit(main())
