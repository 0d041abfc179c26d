"""Pictures made along the way, always for the same prompts and seeds."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from method.run_folder import SAMPLE_LINES
from method.training.config import Config
from method.training.failures import PictureNotFinite
from worker.training.backbones import Text
from worker.training.disk import writing
from worker.training.encodings import Encodings
from worker.training.guidance import against_negative
from worker.training.metrics import append_line, read_lines
from worker.training.roles import Role, Roles
from worker.training.stopping import Between, go_on

log = logging.getLogger("worker.training")
PNG_END = b"IEND\xaeB`\x82"
"""The last chunk of a PNG with its checksum."""


@dataclass(frozen=True, slots=True)
class Case:
    """One picture to make."""

    index: int
    prompt: str
    seed: int
    name: str


class Sampler:
    """Makes the samples of a run into its folder, listed in samples.jsonl."""

    def __init__(self, config: Config, folder: Path, encodings: Encodings, roles: Roles) -> None:
        """Take note; nothing is made yet."""
        self.config, self.folder = config, folder
        self.encodings, self.roles = encodings, roles
        self.path = folder / SAMPLE_LINES
        # Told of each sample: step, a name that stays the same over the steps, and the file.
        self.listener: Callable[[int, str, Path], None] | None = None

    def is_due(self, step: int, total_steps: int) -> bool:
        """Before the first step, after the last, and as often as the config says."""
        samples = self.config.samples
        is_regular = samples.every and step % samples.every == 0
        return bool(samples.prompts) and bool(is_regular or step in (0, total_steps))

    def prepare(self) -> None:
        """Encode the prompts, before the text encoders' memory is given back."""
        self.encodings.text(["", *self.config.samples.prompts])

    def make(
        self,
        step: int,
        before_each: Callable[[str], None],
        between: Between = go_on,
        *,
        keep: bool = True,
    ) -> None:
        """Make the samples of a step that are not there yet; `before_each` and `between` may raise.

        Where several processes make them together, one of them keeps them.
        """
        there = {
            (row["step"], row.get("index"), row.get("model"))
            for row in read_lines(self.path)
            if _is_whole(self.folder / str(row.get("file")))
        }
        for model, role in self._models(step):
            cases = [c for c in self._cases(step, model) if (step, c.index, model) not in there]
            if not cases:
                continue
            with self._playing(role) as network:
                for case in cases:
                    before_each(f"Making sample {case.index + 1} of the {model}.")
                    try:
                        image = self._make(network, case, between)
                    except PictureNotFinite as error:
                        # The run is not at fault for one, and goes on; what it learns is guarded elsewhere.
                        log.warning("Sample %s is left out. %s", case.name, error)
                        continue
                    if keep:
                        self._write(image, case)
                        append_line(self.path, self._row(step, model, role, case))
                        self._tell(step, model, case)

    def _models(self, step: int) -> Iterator[tuple[str, Role]]:
        yield "target", "theta"
        if step == 0 and "expert" in self.roles.players:
            yield "expert", "expert"
        if step == 0 and self.config.objective.reference == "base":
            yield "base", "reference"

    def _cases(self, step: int, model: str) -> Iterator[Case]:
        samples = self.config.samples
        suffix = "" if model == "target" else f"-{model}"
        for index, (prompt, seed) in enumerate(product(samples.prompts, samples.seeds)):
            yield Case(index, prompt, seed, f"step-{step:06d}-{index:02d}{suffix}.png")

    def _is_against_negative(self, role: Role) -> bool:
        """The expert is not: what is asked of it is how it paints by itself."""
        return "negative" in self.roles.players and role != "expert"

    def _playing(self, role: Role) -> AbstractContextManager[nn.Module]:
        if self._is_against_negative(role):
            return against_negative(self.roles, role, self.config.samples.negative_merge)
        return self.roles.frozen(role)

    def _row(self, step: int, model: str, role: Role, case: Case) -> dict[str, Any]:
        row = {
            "step": step,
            "index": case.index,
            "prompt": case.prompt,
            "seed": case.seed,
            "file": f"samples/{case.name}",
            "model": model,
        }
        return row | ({"negative": True} if self._is_against_negative(role) else {})

    def _tell(self, step: int, model: str, case: Case) -> None:
        if self.listener is not None:
            name = f"{model}: {case.prompt}, seed {case.seed}"
            self.listener(step, name, self.folder / "samples" / case.name)

    def _make(self, network: nn.Module, case: Case, between: Between) -> Image.Image:
        samples, resolution = self.config.samples, self.config.data.resolution
        pair: Text = self.encodings.text([case.prompt, ""])
        return self.encodings.backbone.sample(
            network,
            pair.row(0),
            pair.row(1),
            seed=case.seed,
            steps=samples.steps,
            guidance=samples.guidance,
            size=(resolution, resolution),
            between=between,
        )

    def _write(self, image: Image.Image, case: Case) -> None:
        path = self.folder / "samples" / case.name
        unfinished = path.with_suffix(".tmp")
        with writing(path):
            try:
                path.parent.mkdir(exist_ok=True)
                image.save(unfinished, format="PNG")
                unfinished.replace(path)
            finally:
                # What is half there would take the room that is missing.
                unfinished.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there to its end: a line in the list does not say so after a power cut."""
    try:
        return path.read_bytes().endswith(PNG_END)
    except OSError:
        return False
