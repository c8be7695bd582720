"""`python -m comity` runs the command `comity`."""

import sys

from comity.cli.main import main

sys.exit(main())
