"""Real pipelines small enough to train in seconds on a laptop, made from a seed.

Every part has the architecture of the model it stands for (for SDXL: two CLIP text encoders, pooled text
and size ids, transformer blocks, a KL autoencoder), only narrow: less than a million parameters in the
network, 64 px pictures, 16x16 latents. The autoencoder and the network are fitted for about three minutes on small
paintings that are made here, with prompts and attributes, so that pictures show roughly what they are told. They
serve tests, demonstrations and installations without a GPU; they paint nothing worth hanging up.

    python -m worker.training.tiny_model FOLDER --seed 0 --kind sdxl
"""

import argparse
import json
import logging
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)
from transformers.utils.logging import disable_progress_bar

from method.places import argument
from method.training.config import Flow
from worker.training.backbones.loading import make_backbone
from worker.training.tiny_fitting import fit_model
from worker.training.tiny_paintings import RESOLUTION, paint_lessons, words_of
from worker.training.tiny_vocabulary import (
    END,
    START,
    Vocabulary,
    clip_tokenizer,
    learn_vocabulary,
    t5_tokenizer,
)

Kind = Literal["sd15", "sdxl", "sdxl-v", "flux"]

TEXT_WIDTH = 32
PAINTINGS = 300
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def make_tiny_sdxl(folder: Path | str, seed: int = 0, *, fit: bool = True) -> Path:
    """Write a tiny SDXL; see `make_tiny_model`."""
    return make_tiny_model(folder, "sdxl", seed, fit=fit)


def make_tiny_model(folder: Path | str, kind: Kind, seed: int = 0, *, fit: bool = True) -> Path:
    """Write a pipeline in diffusers layout and return its folder; the same seed gives the same files.

    Kinds: sd15 and sdxl predict the noise, sdxl-v predicts v, flux velocity. With `fit=False` the
    weights stay random: enough for tests of the machinery, in under two seconds.
    The folder appears whole or not at all; an existing one is refused with FileExistsError.
    """
    disable_progress_bar()
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another folder")
    # Before any work, as it may be refused. Not by mkdtemp: who may read it is for the umask to say.
    unfinished = folder.parent / f".{folder.name}-{secrets.token_hex(4)}"
    unfinished.mkdir(parents=True)
    try:
        pipeline = _make_pipeline(kind, seed, fit=fit)
        pipeline.save_pretrained(unfinished, safe_serialization=True)
        _forget_places(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def _make_pipeline(kind: Kind, seed: int, *, fit: bool) -> Any:
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        # Sums over threads depend on how many there are, and with them the files' hashes. The
        # operations are too small to gain from a second one.
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        try:
            lessons = paint_lessons(PAINTINGS, seed) if fit else []
            pipeline = _build_pipeline(kind, learn_vocabulary(words_of(lessons) if fit else ()))
            if fit:
                backbone = make_backbone(pipeline, Flow(), torch.device("cpu"), torch.float32)
                fit_model(backbone, pipeline, lessons, seed)
        finally:
            torch.set_num_threads(threads)
    return pipeline


def _build_pipeline(kind: Kind, learned: Vocabulary) -> Any:
    match kind:
        case "sd15":
            return _build_sd15(learned)
        case "flux":
            return _build_flux(learned)
        case "sdxl":
            return _build_sdxl(learned, {"timestep_spacing": "leading", "steps_offset": 1})
        case "sdxl-v":
            # As the published models of this kind are trained.
            v = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
            return _build_sdxl(learned, v | {"timestep_spacing": "trailing"})


def _build_sd15(learned: Vocabulary) -> Any:
    return StableDiffusionPipeline(
        vae=_autoencoder(latent_channels=4),
        text_encoder=CLIPTextModel(_text_config(learned)),
        tokenizer=clip_tokenizer(learned, pad=END),
        unet=UNet2DConditionModel(
            sample_size=RESOLUTION // 4,
            block_out_channels=(32, 48),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=4,
            cross_attention_dim=TEXT_WIDTH,
            norm_num_groups=8,
        ),
        scheduler=PNDMScheduler(
            **BETAS, set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _build_sdxl(learned: Vocabulary, schedule: dict[str, Any]) -> Any:
    return StableDiffusionXLPipeline(
        vae=_autoencoder(latent_channels=4),
        text_encoder=CLIPTextModel(_text_config(learned)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(learned)),
        tokenizer=clip_tokenizer(learned, pad=END),
        tokenizer_2=clip_tokenizer(learned, pad="!"),
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
        scheduler=EulerDiscreteScheduler(**BETAS, **schedule),
        add_watermarker=False,
    )


def _build_flux(learned: Vocabulary) -> Any:
    t5 = t5_tokenizer()
    return FluxPipeline(
        vae=_autoencoder(
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
            scaling_factor=0.3611,
            shift_factor=0.1159,
        ),
        text_encoder=CLIPTextModel(_text_config(learned)),
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=len(t5),
                d_model=TEXT_WIDTH,
                d_kv=8,
                d_ff=2 * TEXT_WIDTH,
                num_layers=2,
                num_heads=4,
                feed_forward_proj="gated-gelu",
            )
        ),
        tokenizer=clip_tokenizer(learned, pad=END),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            in_channels=4 * 16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=3,
            joint_attention_dim=TEXT_WIDTH,
            pooled_projection_dim=TEXT_WIDTH,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


def _autoencoder(latent_channels: int, **options: Any) -> Any:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 16, 16),
        layers_per_block=1,
        latent_channels=latent_channels,
        # Few groups: normalising every two channels alone would wash out flat colours.
        norm_num_groups=2,
        sample_size=RESOLUTION,
        mid_block_add_attention=False,
        force_upcast=False,
        **options,
    )


def _text_config(learned: Vocabulary) -> CLIPTextConfig:
    vocabulary, _ = learned
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


def _forget_places(folder: Path) -> None:
    """Drop folder names from the saved configs: the files depend on the seed alone."""
    for path in sorted(folder.rglob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.keys() & {"_name_or_path", "name_or_path"}:
            values.pop("_name_or_path", None)
            values.pop("name_or_path", None)
            path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line: python -m worker.training.tiny_model FOLDER [--seed N] [--kind K] [--unfitted]."""
    parser = argparse.ArgumentParser(prog="python -m worker.training.tiny_model")
    parser.add_argument("folder", type=argument)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=get_args(Kind), default="sdxl")
    parser.add_argument("--unfitted", action="store_true", help="leave the weights random")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        folder = make_tiny_model(chosen.folder, chosen.kind, chosen.seed, fit=not chosen.unfitted)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
