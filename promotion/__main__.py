"""``python -m promotion``: move a release along."""

import sys

from promotion.cli import main

sys.exit(main())
