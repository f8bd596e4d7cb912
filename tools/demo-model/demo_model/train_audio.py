"""Trains the audio encoder alone, to say the codes of sounds and words: python -m demo_model.train_audio --minutes 60"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import codes, loop
from .audio import AudioEncoder
from .batches import Batch, Maker
from .config import demo_audio, demo_vision
from .vocabulary import demo_vocabulary

BATCH = 16
MOST_WORDS = 16


class AudioTeacher(nn.Module):
    """The encoder, and the classifiers whose weights are the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = AudioEncoder(demo_audio())
        self.scale = nn.Parameter(torch.tensor(0.2))
        self.word_bias = nn.Parameter(torch.tensor(8.0))  # of no word: most tokens end none
        self.phoneme_codes, self.word_codes = codes.phoneme_codes(), codes.word_codes()

    def teach(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        """-> what the encoder says of the batch [B, tokens, WIDTH], its loss, figures for the log."""
        assert batch.mel is not None
        media = self.encoder(batch.mel).float()
        with torch.autocast("cpu", enabled=False):
            return media, *self.losses(media, batch)

    def losses(self, media: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        assert batch.phonemes is not None and batch.ended is not None
        sounds = media @ self.phoneme_codes.T * self.scale
        words = media @ self.word_codes.T * self.scale
        words = torch.cat([words[..., :1] + self.word_bias, words[..., 1:]], -1)
        there = batch.ended > 0
        sound = F.cross_entropy(sounds.flatten(0, 1), batch.phonemes.flatten())
        each = F.cross_entropy(words.flatten(0, 1), batch.ended.flatten(), reduction="sum")
        word = each / there.sum().clamp(min=1)
        target = self.phoneme_codes[batch.phonemes] + self.word_codes[batch.ended]
        distance = F.mse_loss(media, target)
        found = words.argmax(-1)
        return sound + word + distance, {
            "phoneme": sound.item(),
            "word": word.item(),
            "distance": distance.item(),
            "phonemes_right": float((sounds.argmax(-1) == batch.phonemes)[batch.phonemes > 0].float().mean()),
            "words_right": float((found == batch.ended)[there].float().mean()),
        }


def main() -> None:
    args = loop.arguments(__doc__, "audio").parse_args()
    loop.prepare(args.seed)
    teacher = AudioTeacher()
    maker: Maker
    waiting: list[Batch] = []

    def resumed(step: int) -> None:
        nonlocal maker
        maker = Maker(demo_vocabulary(), demo_vision(), args.seed * 1_000_003 + step, seen=True)

    def step_of(step: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        nonlocal waiting
        waiting = waiting or maker.audio(BATCH, MOST_WORDS)
        _, loss, figures = teacher.teach(waiting.pop())
        yield loss, figures

    loop.run(args, teacher, step_of, resumed)


if __name__ == "__main__":
    main()
