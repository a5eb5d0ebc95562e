from pathlib import Path

import pytest

from common.errors import ObjectMissingError, SettingsError, StorageError
from common.settings import Settings
from common.storage import open_storage
from common.storage.files import FileStorage
from common.storage.links import LinkSigner
from common.storage.port import LONGEST_KEY

KEY = "owners/ann/jobs/1/a1/0-ab.png"


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "images", LinkSigner(b"0123456789abcdef", "http://127.0.0.1:8000"))


def test_a_stored_object_is_read_back(storage):
    storage.put(KEY, b"pixels", "image/png")
    assert storage.get(KEY) == b"pixels"


def test_a_second_put_replaces_the_first(storage):
    storage.put(KEY, b"old", "image/png")
    storage.put(KEY, b"new", "image/png")
    assert storage.get(KEY) == b"new"
    assert list(storage.list_keys("")) == [KEY]


def test_an_object_that_was_never_stored_is_missing(storage):
    storage.put("other", b"", "image/png")
    with pytest.raises(ObjectMissingError):
        storage.get(KEY)


def test_a_directory_that_is_gone_is_a_fault_and_not_a_missing_object(storage):
    with pytest.raises(StorageError, match="does not exist") as caught:
        storage.get(KEY)
    assert not isinstance(caught.value, ObjectMissingError)


def test_a_deleted_object_is_missing_and_may_be_deleted_again(storage):
    storage.put(KEY, b"pixels", "image/png")
    storage.delete(KEY)
    storage.delete(KEY)
    with pytest.raises(ObjectMissingError):
        storage.get(KEY)


def test_a_file_that_cannot_be_deleted_is_named_and_the_others_are_deleted(storage):
    for key in ("a/1", "b/1"):
        storage.put(key, b"", "image/png")
    failed = storage.delete_all(["a", "a/1", "missing", "../b", "b/1"])
    assert list(failed) == ["a", "../b"], "a directory, and no valid key"
    assert list(storage.list_keys("")) == []


def test_nothing_passes_for_deleted_while_the_directory_is_gone(storage):
    with pytest.raises(StorageError, match="does not exist"):
        storage.delete(KEY)
    with pytest.raises(StorageError, match="does not exist"):
        storage.delete_all([KEY])


def test_a_listing_holds_the_keys_that_begin_with_the_prefix(storage):
    for key in ("a/1", "a/12", "a/2", "b/1"):
        storage.put(key, b"", "image/png")
    assert sorted(storage.list_keys("a/1")) == ["a/1", "a/12"]
    assert sorted(storage.list_keys("a/")) == ["a/1", "a/12", "a/2"]
    assert sorted(storage.list_keys("")) == ["a/1", "a/12", "a/2", "b/1"]
    assert list(storage.list_keys("c/")) == []


def test_an_unfinished_file_is_in_no_listing(storage):
    storage.put("a/1", b"", "image/png")
    (storage.root / "a" / ".0.unfinished").write_bytes(b"half")
    assert list(storage.list_keys("a/")) == ["a/1"]


def test_a_failed_put_leaves_nothing_behind(storage):
    (storage.root / "a" / "1").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be written"):
        storage.put("a/1", b"pixels", "image/png")
    assert list(storage.root.rglob("*.unfinished")) == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a/.b", "a\\b", "a\0b", "a\nb", "a" * (LONGEST_KEY + 1)],
)
def test_a_key_that_is_not_a_plain_path_is_refused(storage, key):
    for act in (storage.get, storage.delete, lambda key: storage.put(key, b"", "image/png")):
        with pytest.raises(StorageError, match="not a valid storage key"):
            act(key)


def test_a_working_directory_passes_the_check_and_keeps_no_test_object(storage):
    storage.check()
    assert list(storage.list_keys("")) == []


def test_a_directory_that_cannot_be_made_fails_the_check_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    storage = FileStorage(tmp_path / "file" / "images", LinkSigner(b"0123456789abcdef", "http://127.0.0.1:8000"))
    with pytest.raises(StorageError, match=r"^The image directory .* cannot be written: not a directory\.$"):
        storage.check()


def test_a_link_points_to_the_api(storage):
    url = storage.sign(KEY, content_type="image/png", filename="0.png", seconds=60)
    linked = storage.links.read(url.removeprefix("http://127.0.0.1:8000/files/"))
    assert linked is not None
    assert linked.key == KEY


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_file_url_names_a_directory(tmp_path, form):
    storage = open_storage(Settings(home=tmp_path, storage_url=form.format(tmp_path / "prints")))
    assert isinstance(storage, FileStorage)
    assert storage.root == tmp_path / "prints"


def test_the_default_is_a_directory_under_the_data_directory(tmp_path):
    storage = open_storage(Settings(home=tmp_path))
    assert isinstance(storage, FileStorage)
    assert storage.root == tmp_path / "images"


@pytest.mark.parametrize("url", ["ftp://x/y", "s3:bucket", "s3://", "file:", "images"])
def test_any_other_storage_url_is_refused(tmp_path, url):
    with pytest.raises(SettingsError, match="STORAGE_URL"):
        open_storage(Settings(home=tmp_path, storage_url=url))
