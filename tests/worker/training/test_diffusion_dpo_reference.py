"""Diffusion-DPO against what diffusers' own research script computes, on the same tensors.

The script is examples/research_projects/diffusion_dpo/train_diffusion_dpo_sdxl.py of diffusers (read at
commit 3e615b3f; it is not part of the installed package). What its training step does is restated here
with diffusers' and peft's public classes: both pictures of a pair get one timestep and one noise; one
UNet with an adapter predicts, and the same UNet with the adapter off is the reference; squared errors
are means over each picture; -beta / 2 times the difference of the differences goes into logsigmoid.
"""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor
from torch.nn import functional

from worker.training.losses import PreferenceLoss, diffusion_dpo_loss

BETA = 5000.0
"""The script's default."""
Prediction = Literal["epsilon", "v_prediction"]


class Script:
    """The script's model and data: a UNet with an adapter that has learned a little, and noised pairs."""

    def __init__(self, model: Path, prediction: Prediction, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        # diffusers' classes are invisible to a type checker, hence Any.
        unet: Any = UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=dtype)
        unet.requires_grad_(False)
        unet.add_adapter(
            LoraConfig(
                r=4,
                lora_alpha=4,
                init_lora_weights="gaussian",
                target_modules=["to_k", "to_q", "to_v", "to_out.0"],
            )
        )
        self.unet = unet
        self.learnable = [p for p in unet.parameters() if p.requires_grad]
        for parameter in self.learnable:
            parameter.data += 0.02 * torch.randn(parameter.shape, dtype=dtype)
        scheduler: Any = DDPMScheduler.from_pretrained(
            model, subfolder="scheduler", prediction_type=prediction
        )
        # (B, 2C, H, W) is how the script loads a pair; it chunks it into winners, then losers.
        latents = torch.cat(torch.randn(3, 8, 16, 16, dtype=dtype).chunk(2, dim=1))
        noise = torch.randn_like(latents).chunk(2)[0].repeat(2, 1, 1, 1)
        self.timesteps = torch.tensor([20, 400, 900]).repeat(2)
        self.noisy = scheduler.add_noise(latents, noise, self.timesteps)
        if prediction == "epsilon":
            self.target = noise
        else:
            self.target = scheduler.get_velocity(latents, noise, self.timesteps)
        width = unet.config.cross_attention_dim
        self.hidden = torch.randn(3, 77, width, dtype=dtype).repeat(2, 1, 1)
        self.pooled = torch.randn(3, width // 2, dtype=dtype).repeat(2, 1)
        self.time_ids = torch.tensor([[64, 64, 0, 0, 64, 64]], dtype=dtype).expand(6, 6)

    def predict(self) -> Tensor:
        predicted: Tensor = self.unet(
            self.noisy,
            self.timesteps,
            self.hidden,
            added_cond_kwargs={"time_ids": self.time_ids, "text_embeds": self.pooled},
        ).sample
        return predicted

    def reference(self) -> Tensor:
        self.unet.disable_adapters()
        with torch.no_grad():
            predicted = self.predict()
        self.unet.enable_adapters()
        return predicted

    def loss(self, predicted: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """The script's loss, a mean over the batch, and its implicit accuracy."""
        differences = []
        for prediction in (predicted, reference):
            errors = functional.mse_loss(prediction, self.target, reduction="none")
            winners, losers = errors.mean(dim=[1, 2, 3]).chunk(2)
            differences.append(winners - losers)
        inside = -0.5 * BETA * (differences[0] - differences[1])
        accuracy = (inside > 0).to(inside.dtype).mean() + (inside == 0).to(inside.dtype).mean() / 2
        return -functional.logsigmoid(inside).mean(), accuracy

    def ours(self, predicted: Tensor, reference: Tensor) -> PreferenceLoss:
        return diffusion_dpo_loss(
            *predicted.chunk(2), *reference.chunk(2), *self.target.chunk(2), scale=BETA / 2
        )

    def gradients(self, loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, self.learnable))


@pytest.fixture(params=["epsilon", "v_prediction"])
def prediction(request: pytest.FixtureRequest) -> Prediction:
    found: Prediction = request.param
    return found


def test_loss_and_gradients_equal_the_script(tiny_model: Path, prediction: Prediction) -> None:
    """In float64: the script's float32 differences of means are themselves off by 1e-4 at beta 5000."""
    script = Script(tiny_model, prediction, torch.float64)
    reference = script.reference()
    expected, accuracy = script.loss(script.predict(), reference)
    expected_gradients = script.gradients(expected)
    found = script.ours(script.predict(), reference)
    torch.testing.assert_close(found.loss.mean(), expected, rtol=0, atol=1e-5)
    assert found.correct.mean() == accuracy
    assert expected.item() != pytest.approx(0.693, abs=0.01), "too near the start to tell anything"
    for ours, theirs in zip(script.gradients(found.loss.mean()), expected_gradients, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_in_float32_ours_keeps_what_the_script_rounds_away(
    tiny_model: Path, prediction: Prediction
) -> None:
    """On float32 tensors ours is within 1e-5 of the loss in float64; the script is within 1e-3."""
    script = Script(tiny_model, prediction, torch.float32)
    predicted, reference = script.predict().detach(), script.reference()
    theirs, _ = script.loss(predicted, reference)
    ours = script.ours(predicted, reference).loss.mean()
    script.target = script.target.double()
    exact, _ = script.loss(predicted.double(), reference.double())
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(theirs.double(), exact, rtol=0, atol=1e-3)
