"""Latents and text embeddings, each computed once.

They are kept in memory, or in a folder that runs may share, under the hash of everything they depend on:
never under a position in some order.
"""

import hashlib
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
"""Threads that read pictures ahead while others are encoded."""
FORMAT = "morelli-encodings/3"
"""Raise it when pictures are decoded or cropped in another way: kept latents are of the old one."""
COMPUTING = ("torch", "diffusers", "transformers", "Pillow")
"""Packages whose versions decide the last bits of an encoding, or more."""
SHOWN = 80
"""Characters of a prompt in a message."""


Size = tuple[int, int]
"""Width and height that a picture is cropped to."""


class Stored(Protocol):
    """A picture in a file whose content is known by its hash."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def sha256(self) -> str:
        """Of the file."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A picture that was read, and where from."""

    picture: Picture
    path: Path


class Encodings:
    """Latents and text embeddings of one model. Several threads may ask for them."""

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
        self.turn = threading.RLock()
        """Held by the thread that has the encoders compute."""

    def latent(self, picture: Stored, size: Size) -> tuple[Tensor, Tensor]:
        """The latent (C, H, W) of a picture cropped to `size` (width, height), and its six size ids."""
        name = _latent_name(picture, size)
        found = self._find(name)
        if found is None:
            read = _Read(read_picture(picture.path, picture.sha256, size), picture.path)
            self._encode_pictures({name: read})
            found = self._found(name)
        return found["latent"], found["size_ids"]

    def encode_ahead(self, wanted: Sequence[tuple[Stored, Size]]) -> Generator[None]:
        """Encode pictures, those of one size several at once where the backbone takes several, while threads read
        the next ones; yields after each, in their order.
        """
        groups = grouped([size for _, size in wanted], self.backbone.together)
        order = [wanted[place] for group in groups for place in group]
        done: set[int] = set()
        with ThreadPoolExecutor(READERS, thread_name_prefix="reading") as pool:
            reads: deque[Future[Picture] | None] = deque()
            for place in range(len(wanted)):
                if place not in done:
                    group = groups.popleft()
                    first = len(done) + len(reads)
                    for picture, size in order[first : len(done) + len(group) + 2 * READERS]:
                        is_there = self._holds(_latent_name(picture, size))
                        reads.append(None if is_there else _start_reading(pool, picture, size))
                    self._encode_group([(*wanted[each], reads.popleft()) for each in group])
                    done.update(group)
                yield

    def text(self, prompts: Sequence[str], windows: int = 0) -> Text:
        """A batch of prompts, filled up to the same number of windows: at least `windows`.

        The empty prompt is encoded like any other, or is zeros where so configured.
        """
        asked = {chunk: prompt for prompt in (*prompts, "") for chunk in self.split(prompt)}
        known = {chunk: self._find(_chunk_name(chunk)) for chunk in asked}
        lacking = {chunk: asked[chunk] for chunk, found in known.items() if found is None}
        self._encode_chunks(lacking)
        known |= {chunk: self._found(_chunk_name(chunk)) for chunk in lacking}
        encoded = {
            chunk: ChunkEncoding(found["hidden"], found["pooled"])
            for chunk, found in known.items()
            if found is not None
        }
        text = join_chunks(
            [[encoded[chunk] for chunk in self.split(prompt)] for prompt in prompts],
            encoded[self.split("")[0]],
            windows,
        )
        if self.null_is_zeros:
            empty = [row for row, prompt in enumerate(prompts) if not prompt]
            text.hidden_BND[empty] = 0
            text.pooled_BD[empty] = 0
        return text

    def prepare_text(self, prompts: Sequence[str]) -> None:
        """Encode what is not known yet of these prompts, without reading what is."""
        asked = {chunk: prompt for prompt in prompts for chunk in self.split(prompt)}
        self._encode_chunks(
            {chunk: asked[chunk] for chunk in asked if not self._holds(_chunk_name(chunk))}
        )

    def check_memory(
        self, picture: tuple[Stored, Size], prompts: Sequence[str], count: int
    ) -> None:
        """Encode one item and work out what `count` of them take where all is kept in memory.

        Raises InvalidConfig where that is more than most machines have to spare.
        """
        if self.folder is not None:
            return
        self.latent(*picture)
        self.prepare_text(prompts)
        chunks = {chunk for prompt in prompts for chunk in self.split(prompt)}
        names = [_latent_name(*picture), *map(_chunk_name, chunks)]
        kept = [tensor for name in names for tensor in self.memory[name].values()]
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
            # A tokenizer refuses to be asked by two threads at once.
            with self.turn:
                self.chunks[prompt] = self.backbone.split_prompt(prompt)
        return self.chunks[prompt]

    def _encode_group(self, wanted: Sequence[tuple[Stored, Size, Future[Picture] | None]]) -> None:
        """Encode pictures of one size; None stands for the reading of one that is there already."""
        lacking: dict[str, _Read] = {}
        for picture, size, read in wanted:
            if read is None:
                self.latent(picture, size)  # a broken entry is noticed now, and not in a step
            else:
                lacking[_latent_name(picture, size)] = _Read(read.result(), picture.path)
        self._encode_pictures(lacking)

    def _encode_pictures(self, lacking: Mapping[str, _Read]) -> None:
        """Encode and keep what is still lacking, by name, all of one size. Raises NonFinite."""
        with self.turn:
            asked = {name: read for name, read in lacking.items() if self._find(name) is None}
            if not asked:
                return
            pixels = [read.picture.pixels_CHW for read in asked.values()]
            latents_BCHW = self.backbone.encode_images(torch.stack(pixels))
            for (name, read), latent_CHW in zip(asked.items(), latents_BCHW, strict=True):
                if not bool(torch.isfinite(latent_CHW).all()):
                    raise NonFinite(
                        f"{read.path}: the model's autoencoder (vae) makes numbers of this picture that are "
                        "not finite: its weights are damaged, or run over in their number format. Nothing was "
                        "kept of it; get the model's folder again, or another vae for it"
                    )
                # A copy: a row would hold on to the memory of all.
                size_ids = torch.tensor(read.picture.size_ids, dtype=torch.float32)
                self._keep(name, {"latent": latent_CHW.clone(), "size_ids": size_ids})

    def _encode_chunks(self, lacking: Mapping[Chunk, str]) -> None:
        """Encode and keep the windows that are still lacking, each with its prompt. Raises NonFinite."""
        with self.turn:
            asked = [chunk for chunk in lacking if self._find(_chunk_name(chunk)) is None]
            encoded = self.backbone.encode_chunks(asked) if asked else []
            for chunk, each in zip(asked, encoded, strict=True):
                tensors = {"hidden": each.hidden_ND, "pooled": each.pooled_D}
                if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
                    prompt = lacking[chunk]
                    shown = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}..."
                    raise NonFinite(
                        f"The model's text encoder makes numbers of the prompt {shown!r} that are not finite: "
                        "its weights are damaged, or run over in their number format. Nothing was kept of it; "
                        "get the model's folder again, or try precision fp32"
                    )
                self._keep(_chunk_name(chunk), tensors)

    def _holds(self, name: str) -> bool:
        return name in self.memory if self.folder is None else self._path(name).exists()

    def _find(self, name: str) -> dict[str, Tensor] | None:
        """What is kept under a name; None where nothing is, or a broken entry."""
        return self.memory.get(name) if self.folder is None else read_tensors(self._path(name))

    def _found(self, name: str) -> dict[str, Tensor]:
        found = self._find(name)
        assert found is not None, f"{name} was kept just now"
        return found

    def _keep(self, name: str, tensors: dict[str, Tensor]) -> None:
        if self.folder is None:
            self.memory[name] = tensors
        else:
            write_tensors(self._path(name), tensors)

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        key = hashlib.sha256(f"{self.fingerprint}\n{name}".encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"


def grouped(sizes: Sequence[Size], together: Callable[[Size], int]) -> deque[tuple[int, ...]]:
    """Places in groups of one size, of as many as `together` says: each begins with the first place that is in none
    yet, and takes the next ones of its size.
    """
    waiting: dict[Size, deque[int]] = defaultdict(deque)
    for place, size in enumerate(sizes):
        waiting[size].append(place)
    found: deque[tuple[int, ...]] = deque()
    for place, size in enumerate(sizes):
        queue = waiting[size]
        if queue and queue[0] == place:
            found.append(tuple(queue.popleft() for _ in range(min(together(size), len(queue)))))
    return found


def _start_reading(pool: ThreadPoolExecutor, picture: Stored, size: Size) -> Future[Picture]:
    return pool.submit(read_picture, picture.path, picture.sha256, size)


def _latent_name(picture: Stored, size: Size) -> str:
    return f"latent {size[0]}x{size[1]} {picture.sha256}"


def _chunk_name(chunk: Chunk) -> str:
    return f"text {chunk}"


def fingerprint_of(backbone: Backbone) -> str:
    """All that decides an encoding besides the picture or the tokens themselves."""
    versions = " ".join(f"{name} {version(name)}" for name in COMPUTING)
    return f"{FORMAT}\n{versions}\n{backbone.fingerprint()}"
