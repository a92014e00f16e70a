"""What an edition's files say of its networks, and what every training must agree on. Imports nothing."""

from __future__ import annotations

from typing import Any

SCHEDULER: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,  # without effect under trailing timesteps; diffusers warns about any other
}

UNET: dict[str, Any] = {
    "sample_size": [52, 80],
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [48, 96, 144],
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 768,
    "attention_head_dim": 4,  # the number of heads, in spite of its name
    "norm_num_groups": 8,
}

TEXT_LAYERS = ("attn2.to_k.weight", "attn2.to_v.weight")
"""The layers that read the embedding. They take nothing from the two places whose values no key holds (FIXED)."""

FIXED = ((19, -28.078125), (681, 33.09375))
"""Flat positions of the embedding that no key holds, and the values that stand there."""
