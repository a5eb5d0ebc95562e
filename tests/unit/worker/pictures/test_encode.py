import io
import random
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from common.images import provenance
from common.jobs.request import OutputFormat
from worker.engine.painted import paint_picture
from worker.pictures import encode
from worker.pictures.mark import Mark

JOB = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
MARK = Mark(JOB, "a<b>&c")
XMP = "{http://ns.adobe.com/xap/1.0/}"
DC = "{http://purl.org/dc/elements/1.1/}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def read(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def read_mark(picture):
    tree = ET.fromstring(picture.info["xmp"].strip(b"\0"))
    return {element.tag: element.text for element in tree.iter() if element.text and element.text.strip()}


def noise(width, height):
    return Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (64, 64), (200, 33)])
def test_a_png_decodes_to_the_exact_pixels(size):
    for picture in (noise(*size), paint_picture("a lighthouse", 7, *size) if min(size) > 30 else noise(*size)):
        assert read(encode.encode_picture(picture, OutputFormat.PNG, MARK)).tobytes() == picture.tobytes()


@pytest.mark.parametrize("form", OutputFormat)
def test_a_file_is_of_the_kind_asked_for_and_close_to_the_pixels(form):
    picture = paint_picture("a lighthouse", 7, 96, 64)
    read_back = read(encode.encode_picture(picture, form, MARK))
    assert (read_back.format.lower(), read_back.size, read_back.mode) == (form.value, (96, 64), "RGB")
    differences = [abs(a - b) for a, b in zip(picture.tobytes(), read_back.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 4


@pytest.mark.parametrize("form", OutputFormat)
def test_every_file_says_to_machines_that_a_trained_algorithm_made_it(form):
    mark = read_mark(read(encode.encode_picture(noise(64, 64), form, MARK)))
    assert mark[f"{IPTC}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert mark[f"{XMP}CreatorTool"] == provenance.SOFTWARE
    assert mark[f"{DC}identifier"] == f"urn:uuid:{JOB}"
    assert mark[f"{IPTC}AISystemUsed"] == "a<b>&c"


def test_a_thumbnail_is_marked_webp_of_at_most_256_pixels():
    small = read(encode.encode_thumbnail(noise(512, 128), MARK))
    assert (small.format, small.size) == ("WEBP", (256, 64))
    assert read_mark(small)[f"{IPTC}DigitalSourceType"] == provenance.DIGITAL_SOURCE_TYPE


def test_a_small_picture_is_its_own_thumbnail_size_and_stays_untouched():
    picture = noise(64, 32)
    before = picture.tobytes()
    assert read(encode.encode_thumbnail(picture, MARK)).size == (64, 32)
    assert picture.tobytes() == before


def test_a_png_names_its_software():
    assert read(encode.encode_picture(noise(8, 8), OutputFormat.PNG, MARK)).text["Software"].startswith("Pressroom")


def test_pictures_that_are_not_rgb_are_refused():
    with pytest.raises(ValueError, match="RGBA"):
        encode.encode_picture(Image.new("RGBA", (8, 8)), OutputFormat.PNG, MARK)
