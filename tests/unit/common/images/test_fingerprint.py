"""Fingerprints stay near in copies and far in other pictures."""

import io
import random

import pytest
from PIL import Image

from common.images.fingerprint import BAND_BITS, NEAR, Fingerprint, list_neighbours
from common.images.perceptual_hash import compute_fingerprint
from worker.engine.painted import paint_picture

SIDE = 192


def pictures(count):
    return [paint_picture(f"picture {number}", number, SIDE, SIDE) for number in range(count)]


def compress(picture, form="JPEG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


COPIES = {
    "half the size": lambda picture: picture.resize((SIDE // 2, SIDE // 2)),
    "a third, as a poor JPEG": lambda picture: compress(picture.resize((SIDE // 3, SIDE // 3)), quality=50),
    "twice the size": lambda picture: picture.resize((2 * SIDE, 2 * SIDE)),
    "a WebP": lambda picture: compress(picture, "WEBP", quality=60),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_looks_like_its_original(copy):
    for picture in pictures(12):
        assert compute_fingerprint(copy(picture)).is_near(compute_fingerprint(picture))


def test_pictures_that_were_painted_differently_do_not_look_alike():
    seen = [compute_fingerprint(picture) for picture in pictures(40)]
    assert not any(one.is_near(other) for place, one in enumerate(seen) for other in seen[:place])


def test_the_same_shape_in_other_colours_is_another_picture():
    picture = paint_picture("a lighthouse", 1, SIDE, SIDE)
    red, green, blue = picture.split()
    turned = Image.merge("RGB", (blue, green, red))
    assert not compute_fingerprint(turned).is_near(compute_fingerprint(picture))


def test_a_shape_fits_into_a_signed_integer_of_64_bits():
    shapes = [compute_fingerprint(picture).shape for picture in pictures(12)]
    assert all(-(2**63) <= shape < 2**63 for shape in shapes)
    assert min(shapes) < 0 < max(shapes)


def test_similar_fingerprints_share_a_neighbouring_band():
    dice = random.Random(1)
    for _ in range(300):
        shape = dice.getrandbits(64) - 2**63
        changed = shape
        for bit in dice.sample(range(64), NEAR):
            changed ^= 1 << bit
        one, other = Fingerprint(shape, b""), Fingerprint(changed, b"")
        assert one.distance(other) == NEAR
        assert any(theirs in list_neighbours(ours) for ours, theirs in zip(one.bands, other.bands, strict=True))


def test_a_band_has_as_many_neighbours_as_bits_and_itself():
    assert len(set(list_neighbours(0b1010))) == BAND_BITS + 1
