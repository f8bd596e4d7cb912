"""Writes a checkpoint's averaged weights as the two GGUF files: python -m demo_model.export --out DIR"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

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


def mean_of(names: list[str]) -> dict[str, Tensor]:
    """Of runs that have met half way all along, so that their mean is a model too."""
    states = [checkpoint.averaged(places.CHECKPOINTS / f"{name}.pt") for name in names]
    return {
        k: torch.stack([s[k] for s in states]).mean(0) if v.is_floating_point() else v for k, v in states[0].items()
    }


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--name", nargs="+", default=["demo"], help="checkpoint of the joined model; of several, the mean")
    ap.add_argument("--encoders", metavar="NAME", help="checkpoint to take the encoders from")
    ap.add_argument("--parts", nargs=3, metavar=("TEXT", "VISION", "AUDIO"), help="of the parts' own, instead")
    ap.add_argument("--out", type=Path, default=places.CACHE / "export")
    ap.add_argument("--exact", action="store_true", help="F32 instead of Q8_0")
    args = ap.parse_args()
    model = DemoModel(len(demo_vocabulary()))
    if args.parts is None:
        model.load_state_dict(mean_of(args.name))
        if args.encoders is not None:
            state = checkpoint.averaged(places.CHECKPOINTS / f"{args.encoders}.pt")
            model.load_state_dict({k: v for k, v in state.items() if not k.startswith("text.")}, strict=False)
    else:
        model.join(*(places.CHECKPOINTS / f"{name}.pt" for name in args.parts))
    for path in export(model.eval(), args.out, args.exact):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
