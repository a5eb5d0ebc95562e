"""LoRAs for the tiny pipelines, with random weights, in the formats that trainers write."""

from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
ATTENTION_OF_TEXT = ["q_proj", "k_proj", "v_proj", "out_proj"]
RANK = 4


def save(model: Path, path: Path, seed: int = 0, *, text: bool = True, alpha: int = 2 * RANK) -> Path:
    """Save an adapter for the tiny pipeline in *model*, as diffusers' own training scripts do."""
    pipeline = DiffusionPipeline.from_pretrained(model, local_files_only=True)
    denoiser = "unet" if hasattr(pipeline, "unet") else "transformer"
    parts = {denoiser: ATTENTION}
    if text:
        parts |= {name: ATTENTION_OF_TEXT for name in ("text_encoder", "text_encoder_2") if _takes_lora(pipeline, name)}
    layers = {
        f"{name}_lora_layers": _train(getattr(pipeline, name), targets, seed, alpha) for name, targets in parts.items()
    }
    metadata = _collate_lora_metadata({name: getattr(pipeline, name) for name in parts})
    pipeline.save_lora_weights(path.parent, weight_name=path.name, **layers, **metadata)
    return path


def save_kohya(model: Path, path: Path, seed: int = 0, alpha: float = 1.0) -> Path:
    """Save an adapter of the attention layers, as kohya's trainer does."""
    pipeline = DiffusionPipeline.from_pretrained(model, local_files_only=True)
    dice = torch.Generator().manual_seed(seed)
    tensors = {}
    for prefix, part, targets in _kohyas_parts(pipeline):
        for name, module in getattr(pipeline, part).named_modules():
            if not name.endswith(tuple(targets)):
                continue
            outputs, inputs = module.weight.shape
            text = "text_model_" if part != "unet" and not name.startswith("text_model") else ""
            stem = f"{prefix}_{text}{name.replace('.', '_')}"
            tensors[f"{stem}.lora_down.weight"] = torch.randn(RANK, inputs, generator=dice) / 4
            tensors[f"{stem}.lora_up.weight"] = torch.randn(outputs, RANK, generator=dice) / 4
            tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    save_file(tensors, path)
    return path


def _kohyas_parts(pipeline):
    yield "lora_unet", "unet", ATTENTION
    if hasattr(pipeline, "text_encoder_2"):
        yield "lora_te1", "text_encoder", ATTENTION_OF_TEXT
        yield "lora_te2", "text_encoder_2", ATTENTION_OF_TEXT
    else:
        yield "lora_te", "text_encoder", ATTENTION_OF_TEXT


def save_layer(path: Path, layer: str, inputs: int, outputs: int, ends=("lora_A", "lora_B")) -> Path:
    """Save an adapter of one layer."""
    down, up = (f"{layer}.{end}.weight" for end in ends)
    save_file({down: torch.ones(2, inputs), up: torch.ones(outputs, 2)}, path)
    return path


def _takes_lora(pipeline, name):
    return name in pipeline._lora_loadable_modules and hasattr(pipeline, name)


def _train(model, targets, seed, alpha):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.add_adapter(LoraConfig(r=RANK, lora_alpha=alpha, target_modules=targets, init_lora_weights=False))
    return get_peft_model_state_dict(model)
