"""The three parts together."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from . import checkpoint
from .answers import loss_of
from .audio import AudioEncoder
from .batches import Batch
from .config import demo_text
from .text import TextModel
from .train_audio import AudioTeacher
from .train_vision import VisionTeacher
from .vision import VisionEncoder

# What the encoders say is held near the codes, so that a part can still be exchanged.
TEACHING = 0.2


class DemoModel(nn.Module):
    """The encoders with the heads that only training has."""

    def __init__(self, n_vocab: int) -> None:
        super().__init__()
        self.text = TextModel(demo_text(n_vocab))
        self.vision_teacher, self.audio_teacher = VisionTeacher(), AudioTeacher()

    @property
    def vision(self) -> VisionEncoder:
        return self.vision_teacher.encoder

    @property
    def audio(self) -> AudioEncoder:
        return self.audio_teacher.encoder

    def join(self, text: Path, vision: Path, audio: Path) -> None:
        """Takes the averaged weights of the parts' own checkpoints."""
        self.text.load_state_dict(checkpoint.averaged(text))
        self.vision_teacher.load_state_dict(checkpoint.averaged(vision))
        self.audio_teacher.load_state_dict(checkpoint.averaged(audio))

    def losses(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        if batch.kind == "text":
            return loss_of(self.text, batch, None)
        if batch.kind == "image" and batch.pixels is None:
            return loss_of(self.text, batch, self.vision_teacher.sayer.media(batch))
        if batch.kind == "image":
            media, taught, said = self.vision_teacher.teach(batch)
        else:
            media, taught, said = self.audio_teacher.teach(batch)
        answer, figures = loss_of(self.text, batch, media)
        return answer + TEACHING * taught, figures | {f"{batch.kind}_{k}": v for k, v in said.items() if "right" in k}
