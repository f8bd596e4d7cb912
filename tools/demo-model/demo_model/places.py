"""Where things lie outside the repository."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = Path(os.environ.get("BATCHMILL_DEMO_CACHE", Path.home() / ".cache/batchmill/demo-model"))
CHECKPOINTS = CACHE / "checkpoints"
REPOSITORY = Path(__file__).resolve().parents[3]
TEMPLATE = REPOSITORY / "packages/engine/src/models/gemma4.jinja"
