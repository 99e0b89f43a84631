"""`python -m addressbook`, the same as the console script `addressbook`."""

import sys

from addressbook.cli import main

sys.exit(main())
