"""Pictures made along the way, always for the same prompts and seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.training.backbones import Text
from worker.training.config import Config
from worker.training.encodings import Encodings
from worker.training.metrics import append_line, read_lines
from worker.training.roles import Role, Roles


@dataclass(frozen=True, slots=True)
class Case:
    """One picture to make."""

    index: int
    prompt: str
    seed: int
    model: str
    role: Role
    name: str


class Sampler:
    """Makes the samples of a run into its folder, listed in samples.jsonl."""

    def __init__(self, config: Config, folder: Path, encodings: Encodings, roles: Roles) -> None:
        """Take note; nothing is made yet."""
        self.config, self.folder = config, folder
        self.encodings, self.roles = encodings, roles
        self.path = folder / "samples" / "samples.jsonl"

    def is_due(self, step: int, total_steps: int) -> bool:
        """Before the first step, after the last, and as often as the config says."""
        samples = self.config.samples
        is_regular = samples.every and step % samples.every == 0
        return bool(samples.prompts) and bool(is_regular or step in (0, total_steps))

    def prepare(self) -> None:
        """Encode the prompts, before the text encoders' memory is given back."""
        self.encodings.text(["", *self.config.samples.prompts])

    def make(self, step: int, before_each: Callable[[str], None]) -> None:
        """Make the samples of a step that are not there yet."""
        there = {(row["step"], row["index"], row["model"]) for row in read_lines(self.path)}
        for case in self._cases(step):
            if (step, case.index, case.model) in there:
                continue
            before_each(f"Sampling {case.index + 1} ({case.model}).")
            self._make(case)
            row = {
                "step": step,
                "index": case.index,
                "prompt": case.prompt,
                "seed": case.seed,
                "file": f"samples/{case.name}",
                "model": case.model,
            }
            append_line(self.path, row)

    def _cases(self, step: int) -> Iterator[Case]:
        roles: list[tuple[str, Role]] = [("target", "theta")]
        if step == 0:
            roles += [("expert", "expert")] if "expert" in self.roles.players else []
            roles += [("base", "reference")] if self.config.objective.reference == "base" else []
        cases = [(p, s) for p in self.config.samples.prompts for s in self.config.samples.seeds]
        for model, role in roles:
            for index, (prompt, seed) in enumerate(cases):
                suffix = "" if model == "target" else f"-{model}"
                name = f"step-{step:06d}-{index:02d}{suffix}.png"
                yield Case(index, prompt, seed, model, role, name)

    def _make(self, case: Case) -> None:
        samples, resolution = self.config.samples, self.config.data.resolution
        pair: Text = self.encodings.text([case.prompt, ""])
        with self.roles.frozen(case.role) as network:
            image = self.encodings.backbone.sample(
                network,
                pair.row(0),
                pair.row(1),
                seed=case.seed,
                steps=samples.steps,
                guidance=samples.guidance,
                size=(resolution, resolution),
            )
        path = self.folder / "samples" / case.name
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        image.save(unfinished, format="PNG")
        unfinished.replace(path)
