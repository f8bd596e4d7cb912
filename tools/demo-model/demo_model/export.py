"""Writes a checkpoint's averaged weights as the two GGUF files: python -m demo_model.export --out DIR"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import checkpoint, places
from .gguf_file import MMPROJ, TEXT, as_f32, as_small, write_mmproj, write_text
from .model import DemoModel
from .vocabulary import demo_vocabulary

NAME = "batchmill-demo"


def export(model: DemoModel, out: Path, exact: bool = False) -> tuple[Path, Path]:
    """-> text GGUF, mmproj GGUF; `exact` keeps F32."""
    storage = as_f32 if exact else as_small
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / TEXT, model.text, demo_vocabulary(), places.TEMPLATE.read_text(), NAME, storage)
    write_mmproj(out / MMPROJ, model.vision, model.audio, f"{NAME}-mmproj", storage)
    return out / TEXT, out / MMPROJ


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--name", default="demo", help="of the checkpoint of the joined model")
    ap.add_argument("--parts", nargs=3, metavar=("TEXT", "VISION", "AUDIO"), help="of the parts' own, instead")
    ap.add_argument("--out", type=Path, default=places.CACHE / "export")
    ap.add_argument("--exact", action="store_true", help="F32 instead of Q8_0")
    args = ap.parse_args()
    model = DemoModel(len(demo_vocabulary()))
    if args.parts is None:
        model.load_state_dict(checkpoint.averaged(places.CHECKPOINTS / f"{args.name}.pt"))
    else:
        model.join(*(places.CHECKPOINTS / f"{name}.pt" for name in args.parts))
    for path in export(model.eval(), args.out, args.exact):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
