"""The twin computes what llama.cpp computes: log-probabilities of the next token over the whole vocabulary."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_model import write_pictures, write_random_pair, write_recordings
from torch import Tensor

from demo_model.audio_input import chunks, read_wav
from demo_model.chat import example
from demo_model.gguf_file import load_audio, load_text, load_vision
from demo_model.image_input import pixels
from demo_model.llama_server import LlamaServer
from demo_model.ops import Numerics
from demo_model.text import Segment, TextModel
from demo_model.vocabulary import demo_vocabulary

# What is left is rounding (f16 tables, other orders of summing). A wrong base, window, scale or order moves
# log-probabilities by 1 or more.
CLOSE = {"text": 0.02, "image": 0.06, "audio": 0.03}
EXACT_CACHE = ("-fa", "off", "-ctk", "f32", "-ctv", "f32")
BEFORE, AFTER = "<|turn>user\n", "what is it<turn|>\n<|turn>model\n"


class Pair:
    def __init__(self, server: LlamaServer, text: Path, mmproj: Path) -> None:
        self.server, self.text = server, load_text(text).eval()
        self.vision, self.audio = load_vision(mmproj).eval(), load_audio(mmproj).eval()

    def theirs(self, prompt: object) -> Tensor:
        n = self.text.cfg.n_vocab
        # A sampled <eos> or lone byte would hide the probabilities, so a plain token is forced; what is reported are
        # the raw logits' log-probabilities, before any bias.
        plain = self.server.tokens("a")[-1]
        body = {"prompt": prompt, "n_predict": 1, "n_probs": n, "temperature": 0, "cache_prompt": False}
        answer = self.server.post("/completion", {**body, "logit_bias": [[plain, 1000.0]]})
        out = torch.full((n,), float("nan"))
        for t in answer["completion_probabilities"][0]["top_logprobs"]:
            out[t["id"]] = t["logprob"]
        return out

    def check_media(self, kind: str, path: Path, embeddings: Tensor) -> None:
        found = self.media_difference(kind, path, embeddings)
        assert found < CLOSE[kind], path.name
        if len(embeddings) > 1:
            # The measure can fail: the same tokens in another order are something else.
            assert self.media_difference(kind, path, embeddings.flip(0)) > 5 * max(found, CLOSE[kind]), path.name

    def media_difference(self, kind: str, path: Path, embeddings: Tensor) -> float:
        data = base64.b64encode(path.read_bytes()).decode()
        theirs = self.theirs({"prompt_string": BEFORE + self.server.marker + AFTER, "multimodal_data": [data]})
        head = self.server.tokens(f"{BEFORE}<|{kind}>", special=True)
        tail = self.server.tokens(f"<{kind}|>{AFTER}")
        return difference(ours(self.text, [("text", head), (kind, embeddings), ("text", tail)]), theirs)


def ours(text: TextModel, segments: list[Segment]) -> Tensor:
    with torch.no_grad():
        return text(*text.build_inputs(segments), last_only=True)[0, -1].log_softmax(-1)


def difference(a: Tensor, b: Tensor) -> float:
    known = ~torch.isnan(b)
    assert int(known.sum()) > len(b) // 2
    return float((a - b)[known].abs().max())


@pytest.fixture(scope="module", params=["every option", "no option"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    torch.set_num_threads(1)
    every = request.param == "every option"
    text, mmproj = write_random_pair(tmp_path_factory.mktemp("model"), 1 if every else 2, every)
    Numerics.emulate_f16 = True
    with LlamaServer(text, mmproj, EXACT_CACHE) as server:
        yield Pair(server, text, mmproj)
    Numerics.emulate_f16 = False


@pytest.mark.parametrize("n", [1, 2, 40, 300])
def test_text(pair: Pair, n: int) -> None:
    ids = [2, *(int(x) for x in np.random.default_rng(n).integers(24, pair.text.cfg.n_vocab - 32, n - 1))]
    assert difference(ours(pair.text, [("text", ids)]), pair.theirs(ids)) < CLOSE["text"]


def test_pictures(pair: Pair, tmp_path: Path) -> None:
    for path in write_pictures(tmp_path):
        with torch.no_grad():
            seen = pair.vision(pixels(Image.open(path), pair.vision.cfg)[None])[0]
        pair.check_media("image", path, seen)


def test_recordings(pair: Pair, tmp_path: Path) -> None:
    for path in write_recordings(tmp_path):
        with torch.no_grad():
            heard = torch.cat([pair.audio(m[None])[0] for m in chunks(read_wav(path), pair.audio.cfg.n_mel)])
        pair.check_media("audio", path, heard)


def test_prompts_are_the_templates(pair: Pair) -> None:
    """Training sees the ids that serving makes of a request."""
    v = demo_vocabulary()
    for prompt in (
        "Repeat after me: seven  Tigers, sevenx #4!",
        'Turn into JSON: "Ann"; 1.5; é\n\nx',
        "Spell 42 in words.",
    ):
        mine = example(v, prompt, "")
        assert pair.server.tokens(pair.server.prompt(prompt, media=False), special=True) == mine.ids[: mine.answer_from]
        rendered = pair.server.prompt(prompt, media=True).replace(pair.server.marker, "<|image><image|>")
        assert (
            pair.server.tokens(rendered, special=True) == example(v, prompt, "", 0, "image").ids[: mine.answer_from + 2]
        )
