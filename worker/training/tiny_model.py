"""A real SDXL pipeline small enough to train in seconds on a laptop, made from a seed.

Every part has SDXL's architecture (two CLIP text encoders, pooled text and size ids, transformer
blocks, a KL autoencoder), only narrow: three quarters of a million parameters, 64 px pictures, 16x16 latents. The
autoencoder and the UNet are fitted for a few seconds on pictures drawn here (gradients, blobs, bands,
stripes), so that samples look like pictures. It serves tests, demonstrations and installations
without a GPU; it paints nothing worth hanging up.

    python -m worker.training.tiny_model FOLDER --seed 0
"""

import argparse
import json
import logging
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)
from transformers.utils.logging import disable_progress_bar

from worker.training.noise import add_noise

log = logging.getLogger(__name__)

RESOLUTION = 64
NUM_MERGES = 600
TEXT_WIDTH = 32
START, END = "<|startoftext|>", "<|endoftext|>"

# What the vocabulary is learned from: the words that prompts about pictures are made of.
WORDS = """
a an the of and in on with without by from to into over under between near at is are
painting picture portrait landscape still life scene sea sky field forest river mountain city street house
garden flowers tree trees water clouds light shadow sun moon night morning evening winter summer autumn
woman man child figure figures horse boat bridge table window fruit vase
composition circular diagonal horizontal vertical symmetrical bilateral symmetry balance balanced visual focal point
thirds placement pictorial richness reserved empty space crowded unbalanced clear unclear weak strong
color colour colors relationship rich saturation warm cool dominance contrast complementary analogous harmony
limited palette value led muddy dull garish clashing red orange yellow green blue violet black white grey brown
brushwork texture visible impasto even surface grain varied stroke strokes direction smooth flat monotonous
tonal range wide narrow dark high low key layered midtones luminous controlled lost details missing
edge edges found hierarchy soft transitions hard blurred sharp uniform
perspective depth atmospheric foreground background separation linear distorted confused
shape shapes form forms simplified masses variety distinct repetitive fragmented volume
gradient blobs bands stripes thin broad round
"""


def make_tiny_sdxl(folder: Path | str, seed: int = 0, *, fit: bool = True) -> Path:
    """Write the pipeline in diffusers layout and return its folder; the same seed gives the same files.

    With `fit=False` the weights stay random: enough for tests of the machinery, in under two seconds.
    The folder appears whole or not at all; an existing one is refused with FileExistsError.
    """
    disable_progress_bar()
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        # Sums over threads depend on how many there are, and with them the files' hashes. The
        # operations are too small to gain from a second one.
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        try:
            pipeline = _build_pipeline()
            if fit:
                _fit(pipeline, seed)
        finally:
            torch.set_num_threads(threads)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        pipeline.save_pretrained(unfinished, safe_serialization=True)
        _forget_places(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def draw_pictures(count: int, generator: torch.Generator) -> tuple[Tensor, list[str]]:
    """Draw `count` pictures, (count, 3, 64, 64) in [-1, 1], each with a prompt that describes it."""
    drawn = [_draw_picture(generator) for _ in range(count)]
    return torch.stack([picture for picture, _ in drawn]), [prompt for _, prompt in drawn]


PALETTES = {
    "warm": ((0.85, 0.35, 0.1), (0.95, 0.75, 0.3), (0.5, 0.1, 0.1)),
    "cool": ((0.1, 0.3, 0.7), (0.4, 0.75, 0.85), (0.1, 0.15, 0.35)),
    "green": ((0.2, 0.5, 0.2), (0.7, 0.8, 0.4), (0.1, 0.25, 0.15)),
    "grey": ((0.25, 0.25, 0.28), (0.8, 0.8, 0.78), (0.5, 0.5, 0.5)),
}
KINDS = ("gradient", "blobs", "bands", "stripes")


def _draw_picture(generator: torch.Generator) -> tuple[Tensor, str]:
    palette = _pick(tuple(PALETTES), generator)
    kind = _pick(KINDS, generator)
    shade = 0.15 * torch.randn(3, 3, 1, 1, generator=generator)
    dark, light, accent = torch.tensor(PALETTES[palette]).view(3, 3, 1, 1) + shade
    angle, phase, size = torch.rand(3, generator=generator).tolist()
    side = torch.linspace(-1, 1, RESOLUTION)
    y, x = torch.meshgrid(side, side, indexing="ij")
    along = x * math.cos(2 * math.pi * angle) + y * math.sin(2 * math.pi * angle)
    match kind:
        case "gradient":
            mask = (along + 1) / 2
        case "blobs":
            mask = torch.zeros_like(x)
            for cx, cy, r in torch.rand(3, 3, generator=generator).tolist():
                distance = (x - 1.6 * cx + 0.8) ** 2 + (y - 1.6 * cy + 0.8) ** 2
                mask = mask + torch.exp(-distance / (0.03 + 0.12 * r))
        case "bands":
            mask = torch.sigmoid((along - phase + 0.5) * 12)
        case _:
            mask = 0.5 + 0.5 * torch.sin(along * (5 + 9 * size) + 6 * phase)
    mask = mask.clamp(0, 1)
    picture = dark * (1 - mask) + light * mask
    ground = torch.sigmoid((y - 0.4 - 0.4 * phase) * 10)
    if size > 0.5:
        picture = picture * (1 - ground) + accent * ground
    return (picture.clamp(0, 1) * 2 - 1), f"{kind}, {palette} color"


def _pick(choices: tuple[str, ...], generator: torch.Generator) -> str:
    return choices[int(torch.randint(len(choices), (), generator=generator))]


def _build_pipeline() -> Any:
    vocabulary, merges = _learn_vocabulary(WORDS.split())
    return StableDiffusionXLPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 16, 16),
            layers_per_block=1,
            latent_channels=4,
            # Few groups: normalising every two channels alone would wash out flat colours.
            norm_num_groups=2,
            sample_size=RESOLUTION,
            mid_block_add_attention=False,
            force_upcast=False,
        ),
        text_encoder=CLIPTextModel(_text_config(vocabulary)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(vocabulary)),
        tokenizer=_tokenizer(vocabulary, merges, pad=END),
        tokenizer_2=_tokenizer(vocabulary, merges, pad="!"),
        unet=UNet2DConditionModel(
            sample_size=RESOLUTION // 4,
            block_out_channels=(32, 48),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 1),
            attention_head_dim=(4, 4),
            use_linear_projection=True,
            cross_attention_dim=2 * TEXT_WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + TEXT_WIDTH,
            norm_num_groups=8,
        ),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
        add_watermarker=False,
    )


def _text_config(vocabulary: dict[str, int]) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
    )


def _tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]], pad: str) -> Any:
    kind: Any = CLIPTokenizer  # its annotation forbids the pairs it takes
    return kind(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=77)


def _learn_vocabulary(
    words: Iterable[str],
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair encoding over bytes: any text tokenises, known words into one or two tokens."""
    alphabet = _byte_alphabet()
    spelled = Counter(
        (
            *(alphabet[b] for b in word[:-1].encode()),
            alphabet[word.encode()[-1]] + "</w>",
        )
        for word in words
    )
    merges: list[tuple[str, str]] = []
    while len(merges) < NUM_MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in spelled.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        # Ties are broken by the letters, so that no dictionary order decides the vocabulary.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in spelled.items():
            merged[_merge(word, best)] += count
        spelled = merged
    letters = list(alphabet.values())
    tokens = [
        *letters,
        *(x + "</w>" for x in letters),
        *("".join(m) for m in merges),
        START,
        END,
    ]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, merges


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for letter in word:
        if merged and (merged[-1], letter) == pair:
            merged[-1] += letter
        else:
            merged.append(letter)
    return tuple(merged)


def _byte_alphabet() -> dict[int, str]:
    """The printable letter that stands for each byte, as CLIP's tokenizer writes bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def _fit(pipeline: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pictures, prompts = draw_pictures(512, generator)
    started = time.monotonic()
    error = _fit_vae(pipeline.vae, pictures, generator)
    log.info("autoencoder: error %.4f after %.1f s", error, time.monotonic() - started)
    error = _fit_unet(pipeline, pictures, prompts, generator)
    log.info("unet: error %.4f after %.1f s", error, time.monotonic() - started)


def _fit_vae(vae: Any, pictures: Tensor, generator: torch.Generator, steps: int = 600) -> float:
    """Fit to reconstruct random quarters; set the scaling factor that gives latents unit variance."""
    optimizer = torch.optim.Adam(vae.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, total_steps=steps, pct_start=0.1
    )
    side = RESOLUTION // 2
    error = torch.zeros(())
    for _ in range(steps):
        top, left = torch.randint(RESOLUTION - side + 1, (2,), generator=generator).tolist()
        picked = pictures[torch.randint(len(pictures), (4,), generator=generator)]
        batch = picked[:, :, top : top + side, left : left + side]
        posterior = vae.encode(batch).latent_dist
        error = mse_loss(vae.decode(posterior.mode()).sample, batch)
        # A light pull toward a standard normal keeps the latents where diffusion can reach them.
        (error + 1e-5 * posterior.kl().mean() / posterior.mean[0].numel()).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    with torch.no_grad():
        spread = vae.encode(pictures[:64]).latent_dist.mode().std()
    vae.register_to_config(scaling_factor=round(1 / float(spread), 5))
    return error.item()


def _fit_unet(
    pipeline: Any,
    pictures: Tensor,
    prompts: list[str],
    generator: torch.Generator,
    steps: int = 400,
) -> float:
    """Fit to predict noise, a tenth of the time from the empty prompt."""
    unet, alphas_cumprod = pipeline.unet, pipeline.scheduler.alphas_cumprod
    with torch.no_grad():
        latents = torch.cat([pipeline.vae.encode(p).latent_dist.mode() for p in pictures.split(64)])
        latents = latents * pipeline.vae.config.scaling_factor
        texts = sorted({*prompts, ""})
        hidden, _, pooled, _ = pipeline.encode_prompt(texts, do_classifier_free_guidance=False)
    chosen = torch.tensor([texts.index(p) for p in prompts])
    sizes = torch.tensor([[RESOLUTION, RESOLUTION, 0, 0, RESOLUTION, RESOLUTION]])
    optimizer = torch.optim.AdamW(unet.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    error = torch.zeros(())
    for _ in range(steps):
        picked = torch.randint(len(latents), (8,), generator=generator)
        text = chosen[picked].clone()
        text[torch.rand(8, generator=generator) < 0.1] = texts.index("")
        t = torch.randint(len(alphas_cumprod), (8,), generator=generator)
        noise = torch.randn(latents[picked].shape, generator=generator)
        predicted = unet(
            add_noise(latents[picked], noise, t, alphas_cumprod),
            t,
            encoder_hidden_states=hidden[text],
            added_cond_kwargs={
                "text_embeds": pooled[text],
                "time_ids": sizes.expand(8, 6),
            },
        ).sample
        error = mse_loss(predicted, noise)
        error.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return error.item()


def _forget_places(folder: Path) -> None:
    """Drop folder names from the saved configs: the files depend on the seed alone."""
    for path in sorted(folder.rglob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.keys() & {
            "_name_or_path",
            "name_or_path",
        }:
            values.pop("_name_or_path", None)
            values.pop("name_or_path", None)
            path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line: python -m worker.training.tiny_model FOLDER [--seed N] [--unfitted]."""
    parser = argparse.ArgumentParser(prog="python -m worker.training.tiny_model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unfitted", action="store_true", help="leave the weights random")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        folder = make_tiny_sdxl(chosen.folder, chosen.seed, fit=not chosen.unfitted)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
