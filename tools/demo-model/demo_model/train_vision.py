"""Trains the vision encoder alone, to say the codes of letters: python -m demo_model.train_vision --minutes 60"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import codes, loop
from .batches import Batch, Maker
from .config import demo_vision
from .data.pictures import SLOTS, THIRDS, Level
from .said import Sayer, spread
from .vision import VisionEncoder
from .vocabulary import demo_vocabulary

# Shares of the steps, pictures in one, what they are. A step is about as many patches whatever they are of.
LEVELS = (
    (0.3, 48, Level(most_lines=6, least_lines=3)),
    (0.3, 40, Level(most_lines=3, least_lines=2)),
    (0.4, 40, Level()),
)
SHARES = [share for share, _, _ in LEVELS]
CLEAN_SIZE = 24
CLEAN = Level(most_lines=6, least_lines=4, noise=0.0)


# Weight of what a patch says in the place of others.
PATIENCE = 4.0
# Weight of how far tokens are from their codes, a letter: that is what the text model sees.
EXACTNESS = 0.1


class VisionTeacher(nn.Module):
    """The encoder, classifiers of its patches, and the classifier of its tokens whose weights are the codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VisionEncoder(demo_vision())
        width = self.encoder.cfg.n_embd
        self.centre_head = nn.Linear(width, THIRDS * codes.CHARACTERS)
        self.cover_head = nn.Linear(width, codes.CHARACTERS)
        # A letter's code times itself is 31.5, so what is said half is as likely as not.
        self.scale = nn.Parameter(torch.tensor(0.55))
        self.none_bias = nn.Parameter(torch.tensor(9.0))
        self.names_patches = True  # False saves a tenth, once the encoder knows its letters
        self.sayer = Sayer()

    def letters_of(self, media: Tensor) -> Tensor:
        """[B, tokens, SLOTS * LETTER or more] -> logits [B, tokens, SLOTS, CHARACTERS]."""
        said = media[..., : SLOTS * codes.LETTER].unflatten(-1, (SLOTS, codes.LETTER))
        logits = said @ self.sayer.letters.T * self.scale
        return torch.cat([logits[..., :1] + self.none_bias, logits[..., 1:]], -1)

    def teach(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        """-> what the encoder says of the batch [B, tokens, WIDTH], its loss, figures for the log."""
        pixels, letters, at = batch.pixels, batch.letters, batch.letters_at
        assert pixels is not None and letters is not None and at is not None
        assert batch.centres is not None and batch.covers is not None
        x = self.encoder.patches(pixels)
        media = self.encoder.pool(x, pixels.shape[3] // self.encoder.cfg.patch).float()
        patches = torch.zeros(())
        if self.names_patches:
            centre = named(self.centre_head(x).float().unflatten(-1, (THIRDS, codes.CHARACTERS)), batch.centres)
            patches = centre + named(self.cover_head(x).float(), batch.covers)
        with torch.autocast("cpu", enabled=False):
            logits = self.letters_of(media)
            slots, shares = spread(at, batch.grid)
            shares = shares * (letters > 0)[..., None]
            cell = told(logits, letters, slots, shares)
            wanted = self.sayer.image(letters, at, batch.grid)
            distance = (media - wanted).square().sum() / (letters > 0).sum().clamp(min=1)
            # What a token says is the sum of what its patches add: each is to say its own letters and nothing else. Told
            # only of the sum, patches of a page with several letters in a cell learned it very slowly.
            added = self.encoder.added_by_patches(x.float(), batch.grid[0])
            own, others = own_slots(added[..., : -codes.PLACE].unflatten(-1, (SLOTS, codes.LETTER)))
            patch = told(self.letters_of(own.flatten(-2)), letters, slots, shares) + others.square().mean() * PATIENCE
        # The tokens are what counts; the patches show the way there.
        there = letters > 0
        summed = (logits.flatten(1, 2)[torch.arange(len(letters))[:, None, None], slots] * shares[..., None]).sum(2)
        return (
            media,
            0.3 * patches + cell + 2 * patch + EXACTNESS * distance,
            {
                "patches": patches.item(),
                "cell": cell.item(),
                "patch": patch.item(),
                "distance": distance.item(),
                "right": (summed[..., 1:].argmax(-1) + 1 == letters)[there].float().mean().item(),
                "letters": float(there.sum()),
            },
        )


def own_slots(added: Tensor) -> tuple[Tensor, Tensor]:
    """[B, tokens, patches, SLOTS, LETTER] -> [B, tokens, SLOTS, LETTER] of the patch that a slot lies in; all others."""
    patches = added.shape[2]
    by_patch = added.unflatten(3, (patches, SLOTS // patches))
    mine = torch.eye(patches, dtype=torch.bool)[:, :, None, None]
    own = (by_patch * mine).sum(2).flatten(2, 3)
    return own, by_patch * ~mine


def told(logits: Tensor, letters: Tensor, slots: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy a letter of logits [B, tokens, SLOTS, CHARACTERS] against letters [B, letters] that have shares of
    slots [B, letters, 4], nothing having the rest. Places where nothing is are fifty times as many and count as they
    are: weighed down, so that letters and places counted the same, the encoder said ten letters for each there was."""
    logits = logits.flatten(1, 2)
    picture = torch.arange(len(letters))[:, None, None]
    taken = torch.zeros(logits.shape[:2]).scatter_add_(1, slots.flatten(1), shares.flatten(1)).clamp(max=1)
    said = (logits[picture, slots, letters[..., None]] * shares).sum() + (logits[..., 0] * (1 - taken)).sum()
    return (logits.logsumexp(-1).sum() - said) / (letters > 0).sum().clamp(min=1)


def named(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in which what is there weighs as much as what is not: most places are empty (0), and averaging over
    all of them would teach little but that."""
    each = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    there = (labels.flatten() > 0).float()
    return (each * there).sum() / there.sum().clamp(min=1) + (each * (1 - there)).sum() / (1 - there).sum().clamp(min=1)


def main() -> None:
    ap = loop.arguments(__doc__, "vision")
    ap.add_argument("--clean", type=int, default=400, help="steps with clean pages only, at the beginning")
    args = ap.parse_args()
    loop.prepare(args.seed)
    teacher = VisionTeacher()
    teacher.encoder.compile_blocks()
    maker: Maker

    def resumed(step: int) -> None:
        nonlocal maker
        maker = Maker(demo_vocabulary(), demo_vision(), args.seed * 1_000_003 + step, seen=True)

    def step_of(step: int) -> Iterator[tuple[Tensor, dict[str, float]]]:
        _, size, level = (0, CLEAN_SIZE, CLEAN) if step < args.clean else maker.rng.choices(LEVELS, SHARES)[0]
        _, loss, figures = teacher.teach(maker.image(size, level))
        yield loss, figures

    loop.run(args, teacher, step_of, resumed)


if __name__ == "__main__":
    main()
