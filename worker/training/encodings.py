"""Latents and text embeddings, each computed once.

They are kept in memory, or in a folder that runs may share, under the hash of everything they depend on:
never under a position in some order.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from method.training.failures import InvalidConfig, NonFinite
from worker.training.backbones import Backbone, Chunk, ChunkEncoding, Text, join_chunks
from worker.training.examples import Picture, read_picture
from worker.training.files import read_tensors, write_tensors

log = logging.getLogger(__name__)

MOST_MEMORY = 32 * 2**30
"""Bytes of encodings that are kept in memory; more have to go to a folder."""
READERS = 4
"""Threads that read pictures ahead while one is encoded."""
FORMAT = "morelli-encodings/3"
"""Raise it when pictures are decoded or cropped in another way: kept latents are of the old one."""
COMPUTING = ("torch", "diffusers", "transformers", "Pillow")
"""Packages whose versions decide the last bits of an encoding, or more."""
SHOWN = 80
"""Characters of a prompt in a message."""


class Stored(Protocol):
    """A picture in a file whose content is known by its hash."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def sha256(self) -> str:
        """Of the file."""


class Encodings:
    """Latents and text embeddings of one model."""

    def __init__(
        self, backbone: Backbone, cache_folder: Path | None, *, null_is_zeros: bool
    ) -> None:
        """Without a folder everything stays in memory."""
        self.backbone = backbone
        self.folder = cache_folder
        self.null_is_zeros = null_is_zeros
        self.fingerprint = fingerprint_of(backbone) if cache_folder else ""
        self.memory: dict[str, dict[str, Tensor]] = {}
        self.chunks: dict[str, tuple[Chunk, ...]] = {}

    def latent(self, picture: Stored, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The latent (C, H, W) of a picture cropped to `size` (width, height), and its six size ids."""
        found = self._get(
            _latent_name(picture, size),
            lambda: self._encode_picture(
                read_picture(picture.path, picture.sha256, size), picture.path
            ),
        )
        return found["latent"], found["size_ids"]

    def encode_ahead(self, wanted: Sequence[tuple[Stored, tuple[int, int]]]) -> Generator[None]:
        """Encode pictures one by one, while threads read the next ones; yields after each."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="reading") as pool:
            reads: deque[Future[Picture] | None] = deque()
            for place, (picture, size) in enumerate(wanted):
                while len(reads) < min(2 * READERS, len(wanted) - place):
                    after, after_size = wanted[place + len(reads)]
                    reads.append(
                        None
                        if self._holds(_latent_name(after, after_size))
                        else pool.submit(read_picture, after.path, after.sha256, after_size)
                    )
                read = reads.popleft()
                if read is None:
                    self.latent(picture, size)  # a broken entry is noticed now, and not in a step
                else:
                    encode = partial(self._encode_read, read, picture.path)
                    self._get(_latent_name(picture, size), encode)
                yield

    def text(self, prompts: Sequence[str], windows: int = 0) -> Text:
        """A batch of prompts, filled up to the same number of windows: at least `windows`.

        The empty prompt is encoded like any other, or is zeros where so configured.
        """
        text = join_chunks(
            [[self._chunk(chunk, prompt) for chunk in self.split(prompt)] for prompt in prompts],
            self._chunk(self.split("")[0], ""),
            windows,
        )
        if self.null_is_zeros:
            empty = [row for row, prompt in enumerate(prompts) if not prompt]
            text.hidden_BND[empty] = 0
            text.pooled_BD[empty] = 0
        return text

    def prepare_text(self, prompts: Sequence[str]) -> None:
        """Encode what is not known yet of these prompts, without reading what is."""
        for prompt in prompts:
            for chunk in self.split(prompt):
                if not self._holds(f"text {chunk}"):
                    self._chunk(chunk, prompt)

    def check_memory(
        self, picture: tuple[Stored, tuple[int, int]], prompts: Sequence[str], count: int
    ) -> None:
        """Encode one item and work out what `count` of them take where all is kept in memory.

        Raises InvalidConfig where that is more than most machines have to spare.
        """
        if self.folder is not None:
            return
        self.latent(*picture)
        self.prepare_text(prompts)
        kept = [tensor for found in self.memory.values() for tensor in found.values()]
        size = count * sum(tensor.nbytes for tensor in kept)
        if size > MOST_MEMORY:
            raise InvalidConfig(
                f"data.cache_folder: latents and text embeddings of {count} items take about "
                f"{size / 2**30:.0f} GiB of memory; name a folder to keep them in"
            )

    def windows(self, prompts: Sequence[str]) -> int:
        """How many windows the longest of these prompts takes."""
        return max(len(self.split(prompt)) for prompt in prompts)

    def split(self, prompt: str) -> tuple[Chunk, ...]:
        if prompt not in self.chunks:
            self.chunks[prompt] = self.backbone.split_prompt(prompt)
        return self.chunks[prompt]

    def _chunk(self, chunk: Chunk, prompt: str) -> ChunkEncoding:
        found = self._get(f"text {chunk}", lambda: self._encode_chunk(chunk, prompt))
        return ChunkEncoding(found["hidden"], found["pooled"])

    def _holds(self, name: str) -> bool:
        return name in self.memory if self.folder is None else self._path(name).exists()

    def _encode_read(self, read: Future[Picture], path: Path) -> dict[str, Tensor]:
        return self._encode_picture(read.result(), path)

    def _encode_picture(self, picture: Picture, path: Path) -> dict[str, Tensor]:
        latent = self.backbone.encode_image(picture.pixels_CHW)
        if not bool(torch.isfinite(latent).all()):
            raise NonFinite(
                f"{path}: the model's autoencoder (vae) makes numbers of this picture that are not finite: "
                "its weights are damaged, or run over in their number format. Nothing was kept; get the "
                "model's folder again, or another vae for it"
            )
        return {
            "latent": latent,
            "size_ids": torch.tensor(picture.size_ids, dtype=torch.float32),
        }

    def _encode_chunk(self, chunk: Chunk, prompt: str) -> dict[str, Tensor]:
        encoded = self.backbone.encode_chunk(chunk)
        tensors = {"hidden": encoded.hidden_ND, "pooled": encoded.pooled_D}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            shown = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}..."
            raise NonFinite(
                f"The model's text encoder makes numbers of the prompt {shown!r} that are not finite: its "
                "weights are damaged, or run over in their number format. Nothing was kept; get the model's "
                "folder again, or try precision fp32"
            )
        return tensors

    def _get(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if self.folder is None:
            if name not in self.memory:
                self.memory[name] = compute()
            return self.memory[name]
        path = self._path(name)
        found = read_tensors(path)
        if found is None:
            found = compute()
            write_tensors(path, found)
        return found

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        key = hashlib.sha256(f"{self.fingerprint}\n{name}".encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"


def _latent_name(picture: Stored, size: tuple[int, int]) -> str:
    return f"latent {size[0]}x{size[1]} {picture.sha256}"


def fingerprint_of(backbone: Backbone) -> str:
    """All that decides an encoding besides the picture or the tokens themselves."""
    versions = " ".join(f"{name} {version(name)}" for name in COMPUTING)
    return f"{FORMAT}\n{versions}\n{backbone.fingerprint()}"
