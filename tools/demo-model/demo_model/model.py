"""The three parts together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from . import checkpoint
from .answers import loss_of
from .audio import AudioEncoder
from .batches import Batch
from .config import demo_text
from .gguf_file import MMPROJ, TEXT, load_state, read_gguf
from .text import TextModel
from .train_audio import AudioTeacher
from .train_vision import VisionTeacher
from .vision import VisionEncoder

Part = Literal["all", "text", "encoders"]
# How much it counts how near the encoders are to the codes, beside the answers. Held near, a part can still be exchanged;
# left free, they learn what helps to answer.
TEACHING = 0.5


class DemoModel(nn.Module):
    """The encoders with the heads that only training has."""

    def __init__(self, n_vocab: int) -> None:
        super().__init__()
        self.text = TextModel(demo_text(n_vocab))
        self.vision_teacher, self.audio_teacher = VisionTeacher(), AudioTeacher()
        # Heads of single patches begin anew after an export, and would disturb more than help.
        self.vision_teacher.names_patches = False
        self.teaching = TEACHING

    @property
    def vision(self) -> VisionEncoder:
        return self.vision_teacher.encoder

    @property
    def audio(self) -> AudioEncoder:
        return self.audio_teacher.encoder

    def join(self, text: Path, vision: Path, audio: Path) -> None:
        """Takes the averaged weights of checkpoints: of a part alone, or of a run of the whole that has it in it."""
        for name, path in (("text", text), ("vision_teacher", vision), ("audio_teacher", audio)):
            state = checkpoint.averaged(path)
            own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
            self.get_submodule(name).load_state_dict(own or state)

    def take(self, folder: Path) -> None:
        """Takes the weights of a pair of GGUF files. What only training has is not in them: classifiers begin anew."""
        load_state(self.text, read_gguf(folder / TEXT)[1])
        projector = read_gguf(folder / MMPROJ)[1]
        load_state(self.vision, projector)
        load_state(self.audio, projector)

    def losses(self, batch: Batch, learns: Part = "all") -> tuple[Tensor, dict[str, float]]:
        """`learns`: of the text model alone the encoders are taken as they are, of the encoders alone the text model is not
        asked."""
        if batch.kind == "text":
            return loss_of(self.text, batch, None)
        if batch.pixels is None and batch.mel is None:
            return loss_of(self.text, batch, self.vision_teacher.sayer.media(batch))
        teacher = self.vision_teacher if batch.kind == "image" else self.audio_teacher
        if learns == "text":
            with torch.no_grad():
                media = teacher.encoder(batch.pixels if batch.kind == "image" else batch.mel)
            return loss_of(self.text, batch, media)
        media, taught, said = teacher.teach(batch)
        if learns == "encoders":
            return taught, said
        answer, figures = loss_of(self.text, batch, media)
        return answer + self.teaching * taught, figures | said
