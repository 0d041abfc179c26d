"""What Stable Diffusion 1.5 and XL have in common: a UNet and a DDPM schedule."""

from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from method.training.failures import InvalidConfig
from worker.training.backbones.diffusers_backbone import DiffusersBackbone
from worker.training.noise import Diffusion


class UNetBackbone(DiffusersBackbone):
    """A pipeline around a UNet2DConditionModel."""

    network_name = "unet"
    lora_targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")

    def __init__(self, pipeline: Any, device: torch.device, dtype: torch.dtype) -> None:
        """Take a loaded pipeline. Raises InvalidConfig for UNets that need more than latents and text."""
        super().__init__(pipeline, device, dtype)
        if pipeline.unet.config.in_channels != self.autoencoder.channels:
            raise InvalidConfig(
                f"model.path: this UNet takes {pipeline.unet.config.in_channels} channels where latents "
                f"have {self.autoencoder.channels}; models for inpainting or editing cannot be trained"
            )
        self.schedule = _read_schedule(pipeline.scheduler)

    @property
    def unit(self) -> int:
        """Sides of pictures must be multiples of this: the autoencoder's scale times the UNet's."""
        halvings = len(self.pipeline.unet.config.block_out_channels) - 1
        return int(self.autoencoder.scale * 2**halvings)

    def _network_settings(self) -> str:
        assert isinstance(self.schedule, Diffusion)
        return f"{self.schedule.prediction} {self.schedule.alphas_cumprod_T.tolist()}\n"


def _read_schedule(scheduler: Any) -> Diffusion:
    """The noise schedule the model was trained with, as its scheduler's config has it."""
    config = scheduler.config
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise InvalidConfig(
            f"model.path: this model predicts {prediction}; Morelli trains models that predict "
            "epsilon or v_prediction"
        )
    if "beta_schedule" not in config:
        raise InvalidConfig(
            f"model.path: its scheduler {type(scheduler).__name__} has no DDPM noise schedule "
            "(no beta_schedule); Morelli does not train such models"
        )
    schedule: Any = DDPMScheduler
    alphas_cumprod_T: Tensor = schedule.from_config(config).alphas_cumprod
    return Diffusion(alphas_cumprod_T, prediction)
