"""Validates model directories: complete weights in formats without code, and no links that lead out.

Looks at files only and imports no model library, so it can say no before anything of the directory has been run.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import ModelUnavailableError
from common.models import safetensors_file
from common.models.safetensors_file import RISKY

LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion", "flux", "pixart_alpha", "kolors", "sana"})
"""Where the parts of a pipeline may come from: the two libraries, and folders of ``diffusers.pipelines``."""

DISPENSABLE = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Parts that are never loaded, so that a directory may lack them."""


def check_model_directory(directory: Path) -> None:
    """Raise ModelUnavailableError, a plain sentence that names the file, unless *directory* may be loaded."""
    check_files(directory)
    for name, part in read_json_object(directory / "model_index.json").items():
        _check_part(directory, name, part)


def check_files(directory: Path) -> list[Path]:
    """Return the files of a directory, if each of them may be opened; raise ModelUnavailableError like ``admit``."""
    files = list(_iterate_files(directory))
    for path in files:
        _check_file(directory, path)
    return files


def find_variant(directory: Path) -> str | None:
    """Return ``fp16`` where a directory's denoiser comes in that variant only, else None."""
    for name in ("unet", "transformer"):
        weights = [path.name for path in (directory / name).glob("*.safetensors")]
        if weights and all(".fp16" in weight for weight in weights):
            return "fp16"
    return None


def _iterate_files(directory: Path) -> Iterator[Path]:
    root = directory.resolve()
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ModelUnavailableError(
                f"{path} is a link that leads out of the model's directory; copy the model itself there instead."
            )
        if path.is_file():
            yield path


def _check_file(directory: Path, path: Path) -> None:
    where = path.relative_to(directory)
    suffix = path.suffix.lower()
    if suffix == ".py":
        raise ModelUnavailableError(f"The model {directory} contains code ({where}), which is never run.")
    if suffix in RISKY:
        raise ModelUnavailableError(
            f"The model {directory} contains {where}, a format that can contain code; keep only its safetensors files."
        )
    if suffix == ".safetensors":
        safetensors_file.read_header(path)
    elif path.name.endswith(".index.json"):
        _check_shards(path)
    elif path.name == "config.json" and "auto_map" in read_json_object(path):
        raise ModelUnavailableError(f"{path} refers to custom code (auto_map), which is never run.")


def _check_shards(path: Path) -> None:
    shards = read_json_object(path).get("weight_map")
    if not isinstance(shards, dict):
        raise ModelUnavailableError(f"{path} has no weight_map.")
    for shard in {str(name) for name in shards.values()}:
        if shard != Path(shard).name or not shard.endswith(".safetensors"):
            raise ModelUnavailableError(f"{path} names {shard!r}, which is not a safetensors file in the same folder.")
        if not (path.parent / shard).is_file():
            raise ModelUnavailableError(f"{path} names {shard}, but that file is missing.")


def _check_part(directory: Path, name: str, part: Any) -> None:
    """Check one entry of the index: a part is a pair, the library and the class; all else is an option."""
    if not isinstance(part, list):
        return
    if len(part) != 2 or name.startswith("_"):  # noqa: PLR2004  (a pair)
        raise ModelUnavailableError(f"{directory / 'model_index.json'}: {name} refers to custom code.")
    library, _ = part
    if library is None or name in DISPENSABLE or not isinstance(library, str):
        return
    if library not in LIBRARIES:
        raise ModelUnavailableError(
            f"{directory / 'model_index.json'}: {name} comes from the unknown library {library}."
        )
    if not (directory / name).is_dir():
        raise ModelUnavailableError(f"The model {directory} lacks the folder {name}.")


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file at *path*; raise ModelUnavailableError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailableError(f"{path} cannot be read as JSON.") from error
    if not isinstance(content, dict):
        raise ModelUnavailableError(f"{path} must contain a JSON object.")
    return content
