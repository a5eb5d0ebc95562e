"""The network of nsfwjs, built from a package of the real one's form with weights of our own."""

import base64
import hashlib
import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.errors import SafetyUnavailableError
from common.safety import nsfwjs_package as package
from worker.self_test_image import draw_gradient

CHANNELS = (48, 24, 32, 32, 48, 48, 48, 88, 88, 88, 88, 136, 136, 136, 224, 224, 224, 448)
"""What enters each block of MobileNetV2 at width 1.4, and what leaves the last."""

LAST = 1792


def layers() -> Iterator[tuple[str, list[int]]]:
    """Yield the name and shape of every weight, in TensorFlow's order of axes."""
    yield from convolution("Conv/Conv2D", [3, 3, 3, CHANNELS[0]])
    for number, (entering, leaving) in enumerate(itertools.pairwise(CHANNELS)):
        prefix = f"expanded_conv_{number}" if number else "expanded_conv"
        wide = 6 * entering if number else entering
        if number:
            yield from convolution(f"{prefix}/expand/Conv2D", [1, 1, entering, wide])
        yield from convolution(f"{prefix}/depthwise/depthwise", [3, 3, wide, 1])
        yield from convolution(f"{prefix}/project/Conv2D", [1, 1, wide, leaving])
    yield from convolution("Conv_1/Conv2D", [1, 1, CHANNELS[-1], LAST])


def convolution(name: str, shape: list[int]) -> Iterator[tuple[str, list[int]]]:
    yield f"predict/MobilenetV2/{name}_weights", shape
    yield f"predict/MobilenetV2/{name}_bn_offset", [shape[2] if name.endswith("depthwise") else shape[3]]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The three files of a package."""
    dice = np.random.default_rng(0)
    everything = [*layers(), ("Func/input/_262", [LAST, 5]), ("Func/input/_263", [5])]
    entries, packed = [], b""
    for name, shape in everything:
        fan_in = 9 if name.endswith("depthwise_weights") else int(np.prod(shape[:-1])) if len(shape) > 1 else LAST
        scale = 5 / np.sqrt(fan_in) / 255  # keeps the signal alive through 36 layers
        quantization = f'min:{-127.5 * scale:.9f},scale:{scale:.9f},dtype:"uint8"'
        listed = ",".join(map(str, shape))
        entries.append(f'{{name:"{name}",shape:[{listed}],dtype:"float32",quantization:{{{quantization}}}}}')
        packed += dice.integers(0, 256, int(np.prod(shape)), np.uint8).tobytes()
    half = len(packed) // 2 // 3 * 3
    shards = [f'e.exports="{base64.b64encode(part).decode()}"'.encode() for part in (packed[:half], packed[half:])]
    return dict(zip((package.MODEL, *package.SHARDS), [",".join(entries).encode(), *shards], strict=True))


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    from worker.checkers import nsfwjs  # noqa: PLC0415  (torch takes seconds to import)

    monkeypatch.setattr(nsfwjs, "DIGEST", hashlib.sha256(b"".join(files.values())).hexdigest())
    return tmp_path


def load(folder: Path):
    import torch  # noqa: PLC0415  (likewise)

    from worker.checkers.nsfwjs import NsfwjsNetwork  # noqa: PLC0415  (likewise)

    network = NsfwjsNetwork(folder)
    network.load(torch.device("cpu"))
    return network


def test_the_network_turns_a_picture_into_a_probability(folder: Path) -> None:
    network = load(folder)
    pixels = network.prepare(draw_gradient())
    assert pixels.shape == (1, 3, 224, 224)
    score = network.score(float(network.measure(pixels)))
    assert 0 < score < 1
    assert network.score(float(network.measure(1 - pixels))) != score


def test_weights_with_another_digest_are_refused(folder: Path) -> None:
    path = folder / package.SHARDS[1]
    path.write_bytes(path.read_bytes()[:-9] + b'AAAAAAAA"')
    with pytest.raises(SafetyUnavailableError, match="pinned digest"):
        load(folder)


def test_missing_weights_are_reported_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SafetyUnavailableError, match="pressroom safety fetch"):
        load(tmp_path)


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        _add(tar, package.LICENCE, b"MIT")
        for name, content in files.items():
            _add(tar, package.INSIDE + name, content)
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def test_three_files_and_the_licence_are_kept_of_the_known_archive(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "nsfwjs.tgz", files)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    monkeypatch.setattr(package, "INTEGRITY", digest)
    package.unpack_weights(archive, tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted([*files, "LICENSE"])


def test_another_archive_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(SafetyUnavailableError, match="does not have the expected digest"):
        package.unpack_weights(pack(tmp_path / "nsfwjs.tgz", files), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
