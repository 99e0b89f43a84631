"""``python -m promotion``: release a service, step by step."""

import sys

from promotion.cli import main

sys.exit(main())
