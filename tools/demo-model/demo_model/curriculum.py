"""What is asked of the model when: harder as soon as it does well."""

from __future__ import annotations

from dataclasses import dataclass, field

from .batches import Kind
from .data.pictures import Level

# At level 0 only the encoder learns, from its auxiliary loss. Long clean lines then: pages show more letters for the
# time, but small ones, and were not learned from.
ENOUGH_ENCODED = 0.8  # share of letters, or of phonemes, named rightly
IMAGES = (
    Level(noise=0.0),
    Level(longest=8, noise=0.0),
    Level(longest=16, noise=0.5),
    Level(longest=24),
    Level(most_lines=3),
    Level(most_lines=6),
)
WORDS = (12, 3, 6, 12, 24)  # in a recording; 24 take about 12 seconds


@dataclass
class Curriculum:
    image: int = 0
    audio: int = 0
    # Moving averages of the share of rightly foretold tokens.
    right: dict[str, float] = field(default_factory=lambda: {"image": 0.0, "audio": 0.0, "text": 0.0})

    def level(self) -> Level:
        return IMAGES[self.image]

    def words(self) -> int:
        return WORDS[self.audio]

    def encoder_only(self, kind: Kind) -> bool:
        return (kind == "image" and self.image == 0) or (kind == "audio" and self.audio == 0)

    def learned(self, kind: Kind, right: float, enough: float = 0.93) -> bool:
        """Counts a batch; True when that moved `kind` on to its next level."""
        self.right[kind] += 0.04 * (right - self.right[kind])
        if self.right[kind] < (ENOUGH_ENCODED if self.encoder_only(kind) else enough) or kind == "text":
            return False
        if kind == "image" and self.image + 1 < len(IMAGES):
            self.image += 1
        elif kind == "audio" and self.audio + 1 < len(WORDS):
            self.audio += 1
        else:
            return False
        self.right[kind] = 0.0
        return True
