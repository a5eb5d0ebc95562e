"""Only the packages that the recipe names become training data."""

import base64
import hashlib
import json
import tarfile

import pytest
from PIL import Image

from worker.starter import emoji


def pack(folder, text="hello"):
    (folder / "package").mkdir()
    (folder / "package/index.txt").write_text(text)
    with tarfile.open(folder / "it.tgz", "w:gz") as tar:
        tar.add(folder / "package", "package")
    return folder / "it.tgz"


def test_an_archive_with_another_digest_is_refused_and_leaves_nothing(tmp_path):
    archive = pack(tmp_path)
    with pytest.raises(emoji.DataError, match=r"it\.tgz has SHA-512"):
        emoji.unpack_archive(archive, "c3Vycmlzw6k=", tmp_path / "it")
    assert not (tmp_path / "it").exists()


def test_an_archive_with_the_right_digest_is_unpacked(tmp_path):
    archive = pack(tmp_path)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    emoji.unpack_archive(archive, digest, tmp_path / "it")
    assert (tmp_path / "it/package/index.txt").read_text() == "hello"


def test_pictures_names_and_keywords_are_joined_whatever_selector_they_carry(tmp_path):
    for part in ("fluent-emoji-3d/package/assets", "unicode-emoji-json/package", "emojilib/package/dist"):
        (tmp_path / part).mkdir(parents=True)
    sprite = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    sprite.paste((200, 30, 30, 255), (8, 4, 24, 20))
    sprite.save(tmp_path / "fluent-emoji-3d/package/assets/2764-fe0f.webp", lossless=True)
    names = {"❤️": {"name": "red heart", "group": "Symbols"}, "🦊": {"name": "fox", "group": "Animals"}}
    (tmp_path / "unicode-emoji-json/package/data-by-emoji.json").write_text(json.dumps(names))
    (tmp_path / "emojilib/package/dist/emoji-en-US.json").write_text(json.dumps({"❤️": ["red_heart", "love"]}))
    found = emoji.read_emoji(tmp_path)
    assert list(found) == ["red heart"]
    assert found["red heart"].keywords == ("red heart", "love")
    assert emoji.read_sprite(found["red heart"].path).size == (16, 16)
