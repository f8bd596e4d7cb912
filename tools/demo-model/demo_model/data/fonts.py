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
    "opentype/courier-prime/Courier Prime.otf",
    "opentype/courier-prime/Courier Prime Bold.otf",
    "truetype/inconsolata/Inconsolata.otf",
    "opentype/cabin/Cabin-Regular.otf",
    "opentype/cantarell/Cantarell-Regular.otf",
    "opentype/cantarell/Cantarell-Light.otf",
    "opentype/ebgaramond/EBGaramond12-Regular.otf",
    "truetype/firacode/FiraCode-Light.ttf",
    "truetype/firacode/FiraCode-Regular.ttf",
    "opentype/inter/Inter-Regular.otf",
    "opentype/inter/Inter-Light.otf",
    "opentype/inter/Inter-SemiBold.otf",
    "truetype/jetbrains-mono/JetBrainsMono-Regular.ttf",
    "opentype/linux-libertine/LinLibertine_R.otf",
    "truetype/liberation/LiberationMono-Regular.ttf",
    "truetype/liberation/LiberationSansNarrow-Regular.ttf",
    "opentype/quattrocento/Quattrocento-Regular.otf",
    "opentype/roboto/slab/RobotoSlab-Regular.otf",
    "opentype/roboto/slab/RobotoSlab-Light.otf",
    "truetype/vollkorn/Vollkorn-Regular.ttf",
    "truetype/vollkorn/Vollkorn-Bold.ttf",
    "opentype/urw-base35/C059-Roman.otf",
    "opentype/urw-base35/C059-Bold.otf",
    "opentype/urw-base35/NimbusSansNarrow-Regular.otf",
    "opentype/urw-base35/P052-Roman.otf",
    "opentype/urw-base35/URWBookman-Light.otf",
    "truetype/anonymous-pro/Anonymous Pro.ttf",
    "truetype/mononoki/mononoki-Regular.ttf",
    "opentype/stix/STIXGeneral-Regular.otf",
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


@functools.cache
def middle(path: str) -> float:
    """From the top of a line to the middle of its capitals, in font sizes: 0.36 to 0.73, as fonts differ."""
    _, top, _, bottom = load(path, 100).getbbox("H")
    return (top + bottom) / 200


def load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return _load(path, size)
