"""Validates model directories: complete weights in formats without code, and no links that lead out.

Looks at files only and imports no model library, so it can say no before anything of the directory has been run.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import ModelUnavailableError
from common.models import safetensors_file
from common.models.safetensors_file import RISKY

LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion", "flux", "pixart_alpha", "kolors", "sana"})
"""Where the parts of a pipeline may come from: the two libraries, and folders of ``diffusers.pipelines``."""

DISPENSABLE = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Parts that are never loaded, so that a directory may lack them."""


_SHARD = r"(-\d+-of-\d+)?"
_WEIGHTS = re.compile(rf"(diffusion_pytorch_model|model){_SHARD}(\.(?P<variant>[a-zA-Z0-9_]+))?{_SHARD}\.safetensors")
"""Names under which diffusers and transformers look for weights."""


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


def measure_weights(directory: Path, bytes_per_value: int) -> int:
    """Return how many bytes a model's weights take in memory; 0 if they cannot be read.

    Only what is loaded counts: one variant of each part, not its copies in other precisions or beside it.
    """
    try:
        headers = [safetensors_file.read_header(path) for path in list_loaded_weights(directory)]
    except ModelUnavailableError:
        return 0  # it is told when the model is loaded
    return sum(math.prod(shape) for header in headers for shape in header.shapes.values()) * bytes_per_value


def list_loaded_weights(directory: Path) -> list[Path]:
    """Return the files that loading a model reads; raise ModelUnavailableError if its index cannot be read."""
    index, variant = read_json_object(directory / "model_index.json"), find_variant(directory)
    parts = [name for name, part in index.items() if isinstance(part, list) and not is_absent_part(part)]
    return [
        path
        for name in parts
        if name not in DISPENSABLE
        for path in _choose_copy(sorted((directory / name).glob("*.safetensors")), variant or "")
    ]


def _choose_copy(paths: Sequence[Path], variant: str) -> list[Path]:
    """Return the files of one copy of a part: of the variant if there is one, whole rather than in shards."""
    copies: dict[tuple[str, bool], list[Path]] = {}
    for path in paths:
        found = _WEIGHTS.fullmatch(path.name)
        if found is not None:
            copies.setdefault((found["variant"] or "", "-of-" in path.name), []).append(path)
    wanted = [(name, is_sharded) for name in (variant, "") for is_sharded in (False, True)]
    return next((copies[key] for key in wanted if key in copies), [])


def is_absent_part(part: Any) -> bool:
    """Return whether an entry of the index is a part that the model was saved without."""
    return isinstance(part, list) and part == [None, None]


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
    if not isinstance(part, list) or not any(isinstance(each, str) for each in part):
        return  # an absent part, or a plain list such as the layers of Krea 2's text encoder
    if len(part) != 2 or name.startswith("_"):  # noqa: PLR2004  (a pair)
        raise ModelUnavailableError(f"{directory / 'model_index.json'}: {name} refers to custom code.")
    library, _ = part
    if library is None or name in DISPENSABLE:
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
