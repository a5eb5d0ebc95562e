"""The names that the layers of Stable Diffusion XL and Flux had in their first releases, in diffusers' names.

kohya's trainer and XLabs write them, and diffusers translates them when it loads a LoRA. They are translated here the
same way, so that a LoRA is compared with the model's layers before it is offered. Names are joined with underscores.
"""

import re
from collections.abc import Collection

from common.models.catalog import Family

MARKS = {"input_blocks": Family.SDXL, "middle_block": Family.SDXL, "output_blocks": Family.SDXL} | {
    "double_blocks": Family.FLUX,
    "single_blocks": Family.FLUX,
}
"""What is in the names of a first release, by which it is known."""

_XL_BLOCK = re.compile(r"(input_blocks|output_blocks)_(\d{1,3})_([012])_(.+)|(middle_block)_([012])_(.+)")
_XL_RESNET = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
_MIDDLE = ("resnets_0", "attentions_0", "resnets_1")

_FLUX_BLOCK = re.compile(r"(double|single)_blocks_(\d{1,3})_(.+)")
_FLUX_LAYERS = {
    "double": {
        "img_attn_proj": ("attn_to_out_0",),
        "img_attn_qkv": ("attn_to_q", "attn_to_k", "attn_to_v"),
        "img_mlp_0": ("ff_net_0_proj",),
        "img_mlp_2": ("ff_net_2",),
        "img_mod_lin": ("norm1_linear",),
        "txt_attn_proj": ("attn_to_add_out",),
        "txt_attn_qkv": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
        "txt_mlp_0": ("ff_context_net_0_proj",),
        "txt_mlp_2": ("ff_context_net_2",),
        "txt_mod_lin": ("norm1_context_linear",),
        "proj1": ("attn_to_out_0",),  # of XLabs, like the next three and the last two of single blocks
        "proj2": ("attn_to_add_out",),
        "qkv1": ("attn_to_q", "attn_to_k", "attn_to_v"),
        "qkv2": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
    },
    "single": {
        "linear1": ("attn_to_q", "attn_to_k", "attn_to_v", "proj_mlp"),
        "linear2": ("proj_out",),
        "modulation_lin": ("norm_linear",),
        "proj": ("proj_out",),
        "qkv": ("attn_to_q", "attn_to_k", "attn_to_v"),
    },
}
_FLUX_BLOCKS = {"double": "transformer_blocks", "single": "single_transformer_blocks"}


def translate_name(family: Family, name: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the layers among which a model with the *known* layers divides the one called *name*; none if unknown."""
    return _translate_flux_name(name) if family is Family.FLUX else _translate_xl_name(name, known)


def _translate_flux_name(name: str) -> tuple[str, ...]:
    found = _FLUX_BLOCK.fullmatch(name)
    if found is None:
        return ()
    kind, number, layer = found.groups()
    return tuple(f"{_FLUX_BLOCKS[kind]}_{number}_{each}" for each in _FLUX_LAYERS[kind].get(layer, ()))


def _translate_xl_name(name: str, known: Collection[str]) -> tuple[str, ...]:
    found = _XL_BLOCK.fullmatch(name)
    if found is None:
        return ()
    if found[5]:
        return (f"mid_block_{_MIDDLE[int(found[6])]}_{_XL_RESNET.get(found[7], found[7])}",)
    number, place, layer = int(found[2]), int(found[3]), _XL_RESNET.get(found[4], found[4])
    size = 1  # residual layers of a block
    while f"down_blocks_0_resnets_{size}_conv1" in known:
        size += 1
    is_input = found[1] == "input_blocks"
    block, inner = divmod(number - 1 if is_input else number, size + 1)
    side = "down_blocks" if is_input else "up_blocks"
    if layer == "op":
        return (f"{side}_{block}_downsamplers_0_conv",)
    within = (f"resnets_{inner}", f"attentions_{inner}", "upsamplers_0")[place]
    return (f"{side}_{block}_{within}_{layer}",)
