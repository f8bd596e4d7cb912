"""Free fonts of Debian packages (see README.md), some of them never seen in training."""

from __future__ import annotations

import functools
import random
from pathlib import Path

from PIL import ImageFont

ROOT = Path("/usr/share/fonts")

TRAIN = (
    "truetype/croscore/Arimo-Regular.ttf",
    "truetype/croscore/Arimo-Bold.ttf",
    "truetype/croscore/Arimo-Italic.ttf",
    "truetype/croscore/Cousine-Regular.ttf",
    "truetype/croscore/Tinos-Regular.ttf",
    "truetype/croscore/Tinos-Bold.ttf",
    "truetype/croscore/Tinos-Italic.ttf",
    "truetype/crosextra/Caladea-Regular.ttf",
    "truetype/crosextra/Carlito-Regular.ttf",
    "truetype/dejavu/DejaVuSans.ttf",
    "truetype/dejavu/DejaVuSans-Bold.ttf",
    "truetype/dejavu/DejaVuSansMono.ttf",
    "truetype/dejavu/DejaVuSerif.ttf",
    "truetype/freefont/FreeSans.ttf",
    "truetype/freefont/FreeSerif.ttf",
    "truetype/hack/Hack-Regular.ttf",
    "truetype/lato/Lato-Regular.ttf",
    "truetype/lato/Lato-Bold.ttf",
    "truetype/noto/NotoSans-Regular.ttf",
    "truetype/noto/NotoSans-Bold.ttf",
    "truetype/noto/NotoSerif-Regular.ttf",
    "truetype/noto/NotoSerif-Italic.ttf",
    "truetype/noto/NotoSansMono-Regular.ttf",
    "truetype/open-sans/OpenSans-Semibold.ttf",
    "truetype/open-sans/OpenSans-Light.ttf",
    "truetype/croscore/Cousine-Bold.ttf",
    "truetype/crosextra/Carlito-Bold.ttf",
    "truetype/dejavu/DejaVuSerif-Bold.ttf",
    "truetype/freefont/FreeSansBold.ttf",
    "truetype/hack/Hack-Bold.ttf",
    "truetype/lato/Lato-Light.ttf",
    "truetype/noto/NotoSerif-Bold.ttf",
)
HELD_OUT = (
    "truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf",
    "truetype/open-sans/OpenSans-Regular.ttf",
    "truetype/freefont/FreeMono.ttf",
    "truetype/crosextra/Caladea-Bold.ttf",
    "truetype/dejavu/DejaVuSansCondensed.ttf",
)


@functools.cache
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(ROOT / path), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as cause:
        raise RuntimeError(f"No font {ROOT / path}: install the Debian packages named in README.md") from cause


def pick(rng: random.Random, held_out: bool) -> str:
    return rng.choice(HELD_OUT if held_out else TRAIN)


def load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return _load(path, size)
