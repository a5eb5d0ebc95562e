"""The training images: Fluent 3D emoji from npm, joined with their Unicode names and keywords.

They are not part of the repository: `npm pack` fetches three exact versions at training time, and each archive
must have the SHA-512 written here. The art is Microsoft's Fluent Emoji (MIT), packed by LobeHub; names by unicode-
emoji-json (MIT), keywords by emojilib (MIT).
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PACKAGES = {  # name@version, and the SHA-512 that npm gives for it
    "@lobehub/fluent-emoji-3d@1.1.0": "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7"
    "ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
    "unicode-emoji-json@0.9.0": "HdrQW/7SdbXUsTd8uTATv7LvQJkCSgbAgRCDCtOhQ6xn3EAx"
    "+xZHQtRniOXWJK3ywIqPegkNhP4U4EbuFsiQng==",
    "emojilib@4.0.3": "KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g==",
}


@dataclass(frozen=True)
class Emoji:
    """One picture with its Unicode name, its group and the words that people look it up by."""

    name: str
    group: str
    keywords: tuple[str, ...]
    path: Path


class DataError(Exception):
    """The training images cannot be downloaded, or do not match their pinned digest."""


def fetch_packages(folder: Path) -> None:
    """Fetch and unpack the packages that are missing from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, digest in PACKAGES.items():
        name = package.rsplit("@", 1)[0].rsplit("/", 1)[-1]
        if (folder / name).exists():
            continue
        npm = shutil.which("npm")
        if npm is None:
            raise DataError("npm is not installed; it is required to download the training images")
        command = [npm, "pack", "--silent", "--pack-destination", str(folder), package]
        packed = subprocess.run(command, check=True, capture_output=True, text=True)
        archive = folder / packed.stdout.split()[-1]
        unpack_archive(archive, digest, folder / name)
        archive.unlink()


def unpack_archive(archive: Path, digest: str, target: Path) -> None:
    """Unpack an npm archive whose SHA-512 (base64, as npm writes it) is the expected one."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != digest:
        raise DataError(f"{archive.name} has SHA-512 {found}, expected {digest}")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # Pythons before 3.11.4 know no filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _folder: member)
        tar.extractall(partial)  # noqa: S202  (its digest was checked above)
    partial.rename(target)


def read_emoji(folder: Path) -> dict[str, Emoji]:
    """Read all emoji that have a picture and a name, by name; skin tones have no name and are left out."""
    pictures = {
        drop_variation_selector(path.stem): path
        for path in sorted((folder / "fluent-emoji-3d/package/assets").glob("*.webp"))
    }
    names: dict[str, Any] = json.loads((folder / "unicode-emoji-json/package/data-by-emoji.json").read_text("utf-8"))
    keywords: dict[str, list[str]] = json.loads((folder / "emojilib/package/dist/emoji-en-US.json").read_text("utf-8"))
    found = {}
    for symbol, entry in names.items():
        path = pictures.get(drop_variation_selector("-".join(f"{ord(point):04x}" for point in symbol)))
        if path is not None:
            words = tuple(word.replace("_", " ") for word in keywords.get(symbol, []))
            found[entry["name"]] = Emoji(entry["name"], entry["group"], words, path)
    return found


def drop_variation_selector(code_points: str) -> str:
    """Drop the variation selector, which one package writes and another leaves out."""
    return code_points.replace("-fe0f", "")


def read_sprite(path: Path) -> Image.Image:
    """Read the picture as RGBA, cropped to its visible pixels."""
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    visible = np.asarray(picture)[..., 3] > 8
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return picture.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
