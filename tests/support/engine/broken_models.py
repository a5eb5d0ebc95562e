"""Directories of models of which some cannot be used, each for a reason of its own."""

import shutil
from pathlib import Path

from tests.support.engine import tiny_pipelines

GOOD = ("flux", "sd15", "sdxl")
BROKEN = ("without-part", "damaged", "failing")


def save_models(root: Path) -> dict[str, Path]:
    """Save all of them in *root*; return their directories by name."""
    made = {name: tiny_pipelines.save(name, root / name) for name in GOOD}
    for name in BROKEN:
        made[name] = shutil.copytree(made["sd15"], root / name)
    shutil.rmtree(made["without-part"] / "vae")
    (weights,) = (made["damaged"] / "unet").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    shutil.rmtree(made["failing"] / "unet")
    shutil.copytree(made["sdxl"] / "unet", made["failing"] / "unet")  # wants conditions that its pipeline does not give
    return made
