"""What training does otherwise than llama.cpp, because it is cheaper, comes to the same."""

from __future__ import annotations

import torch

from demo_model.batches import Maker
from demo_model.config import demo_text, demo_vision
from demo_model.data.pictures import Level
from demo_model.muon import Muon, orthogonal
from demo_model.text import TextModel
from demo_model.vocabulary import demo_vocabulary


def test_answers_alone_are_computed_as_among_all_places() -> None:
    torch.manual_seed(3)
    v = demo_vocabulary()
    text, maker = TextModel(demo_text(len(v))), Maker(v, demo_vision(), 3, seen=False)
    for batch in (maker.text(4), maker.image(3, Level())):
        span = batch.span if batch.kind == "image" else None
        media = torch.randn(*batch.ids.shape, text.cfg.n_embd)
        answers = batch.answers()
        with torch.no_grad():
            every = text.hidden(batch.ids, media, batch.is_media, span)
            some = text.hidden(batch.ids, media, batch.is_media, span, answers)
        there = batch.targets.gather(1, answers) >= 0
        assert int(there.sum()) == int((batch.targets >= 0).sum())
        assert torch.allclose(every[batch.targets >= 0], some[there], atol=1e-5)


def test_muon_steps_are_of_one_size_in_all_directions() -> None:
    torch.manual_seed(4)
    for shape in ((3, 64, 96), (2, 96, 64)):
        sizes = torch.linalg.svdvals(orthogonal(torch.randn(*shape)))
        assert float(sizes.min()) > 0.5 and float(sizes.max()) < 1.3
    learned, left = (torch.nn.Parameter(torch.zeros(8, 4)) for _ in range(2))
    learned.grad = torch.randn(8, 4)
    Muon([learned, left], lr=0.1).step()
    assert float((learned * learned.grad).sum()) < 0
    assert not left.any()
