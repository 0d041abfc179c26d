"""What a world brings to the study, whichever it is. Shape letters as in `world`; S sides of a picture."""

from typing import Protocol

import torch
from torch import Tensor

from bench.miniature.language import Language


class World(Protocol):
    """Prompts and states of attributes, and the pictures that show them. A mode is a prompt with a state."""

    @property
    def language(self) -> Language: ...

    @property
    def size(self) -> int:
        """Of a point: what a network sees of a picture, D."""

    @property
    def side(self) -> int:
        """Of a picture, in pixels."""

    @property
    def prompts_K(self) -> Tensor:
        """The prompt of each mode."""

    @property
    def flaws_KA(self) -> Tensor:
        """1 where a mode has the flaw, 0 where the merit."""

    @property
    def words_KV(self) -> Tensor:
        """1 for each word that is true of a mode; rewards have none here."""

    @property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D) of the points of everything, float64."""

    def draw_modes(self, count: int, generator: torch.Generator) -> Tensor:
        """Modes as they come, (B,)."""

    def draw(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        """A point of each of these modes, (B, D)."""

    def draw_pixels(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        """A picture of each of these modes, (B, 3, S, S) in [-1, 1]."""

    def pixels_of(self, points_BD: Tensor) -> Tensor:
        """Points as pictures, (B, 3, S, S) in [-1, 1] or a little beyond."""

    def points_of(self, pixels_BCHW: Tensor) -> Tensor:
        """Pictures as points, (B, D)."""

    def read(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest mode of each picture, (B,), by its pixels alone, and the mean squared distance to it as a
        multiple of what pictures of the world have, (B,).
        """

    def nearest(self, points_BD: Tensor) -> tuple[Tensor, Tensor]:
        """The same for points."""
