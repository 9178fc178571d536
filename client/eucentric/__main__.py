"""`python -m eucentric`: the same as `eucentric`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
