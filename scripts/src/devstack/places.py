"""Where things stand in the project's folder."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / ".data"
# Notes about running stacks; the tests keep theirs elsewhere, so that a developer's `stack` does not see them.
RUN = Path(os.environ.get("DEVSTACK_RUN", ROOT / ".run"))
