"""A llama-server of our own on loopback, for as long as a `with` block lasts."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self


def find_server() -> Path:
    """LLAMA_SERVER, or the newest one that Batchmill has built. Raises FileNotFoundError when there is none."""
    named = os.environ.get("LLAMA_SERVER")
    if named:
        return Path(named)
    built = sorted(Path.home().glob(".cache/batchmill/llama-server/*/llama-server"), key=lambda p: p.stat().st_mtime)
    if not built:
        raise FileNotFoundError("No llama-server: start a Batchmill worker once, which builds it, or set LLAMA_SERVER")
    return built[-1]


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class LlamaServer:
    def __init__(self, text: Path, mmproj: Path, extra: Sequence[str] = (), slots: int = 1) -> None:
        self.url = f"http://127.0.0.1:{_free_port()}"
        # A picture whose tokens see each other must fit into one batch, or llama.cpp aborts: 1120 tokens are the most.
        self._command = [str(find_server()), "-m", str(text), "--mmproj", str(mmproj), "-c", str(4096 * slots), "-np"]
        self._command += [str(slots), "-t", "1", "-tb", "1", "-b", "2048", "-ub", "2048", "--jinja", "--offline"]
        self._command += ["--port", self.url.rpartition(":")[2], *extra]

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("/health")
                break
            except OSError:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                self._stop()
                self._log.seek(0)
                raise RuntimeError("llama-server did not start:\n" + self._log.read()[-3000:].decode()) from None
        self.marker: str = self.get("/props")["media_marker"]
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._stop()
        self._log.close()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{path}: HTTP {e.code}: {e.read().decode()[:500]}") from None

    def tokens(self, text: str, special: bool = False) -> list[int]:
        """`special`: with <bos> in front."""
        body = {"content": text, "add_special": special, "parse_special": True}
        return self.post("/tokenize", body)["tokens"]

    def prompt(self, text: str, media: bool) -> str:
        """One user turn by the model's chat template, media before the text."""
        content = (self.marker if media else "") + text
        body = {
            "messages": [{"role": "user", "content": content}],
            "chat_template_kwargs": {"enable_thinking": False},
        }
        return self.post("/apply-template", body)["prompt"].removeprefix("<bos>")

    def answer(self, text: str, media: bytes | None = None, most: int = 256) -> str:
        """At temperature 0. /completion and not /v1/chat/completions: llama.cpp v0.4.0 fails on answers that its parser
        does not know."""
        prompt = self.prompt(text, media is not None)
        body: dict[str, Any] = {"prompt": prompt, "n_predict": most, "temperature": 0, "cache_prompt": False}
        if media is not None:
            body["prompt"] = {"prompt_string": prompt, "multimodal_data": [base64.b64encode(media).decode()]}
        return self.post("/completion", body)["content"]
