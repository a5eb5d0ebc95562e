import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.errors import SettingsError
from common.settings import Settings
from common.settings.services import LONGEST_SOCKET_PATH

SECRET = "a secret of sixteen or more"


def read(**environ: str) -> Settings:
    return Settings.from_environ({f"PRESSROOM_{name}": value for name, value in environ.items()})


def test_with_nothing_set_all_is_embedded_under_one_directory(tmp_path):
    settings = read(HOME=str(tmp_path))
    assert settings.is_redis_embedded
    for url in (settings.sqlalchemy_url, settings.broker_url, settings.images_url):
        assert str(tmp_path) in url
    assert settings.base_url == "http://127.0.0.1:8000"


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(SettingsError, match=r"PRESSROOM_REDISURL is not a setting .* did you mean PRESSROOM_REDIS_URL"):
        read(REDISURL="redis://127.0.0.1")


def test_variables_without_our_prefix_are_ignored():
    assert Settings.from_environ({"PRESSROOMS": "x", "PRESS_KEY": "y"}) == Settings.from_environ({})


def test_the_environment_of_the_process_is_checked_too(monkeypatch):
    monkeypatch.setenv("PRESSROOM_BIND", "127.0.0.1:9")
    assert Settings.from_environ().bind == "127.0.0.1:9"
    monkeypatch.setenv("PRESSROOM_UNHEARD_OF", "x")
    with pytest.raises(SettingsError, match="PRESSROOM_UNHEARD_OF is not a setting"):
        Settings.from_environ()


def test_an_empty_value_counts_as_not_set():
    assert read(REDIS_URL="", LEASE_SECONDS="").lease_seconds == Settings().lease_seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "soon"),
        ("LEASE_SECONDS", "-1"),
        ("GPU_PRICE_PER_HOUR", "-0.01"),
        ("GPU_PRICE_PER_HOUR", "NaN"),
        ("CURRENCY", "dollars"),
        ("SECRET_KEY", "short"),
        ("CHECKER", "perhaps"),
        ("DEVICE", "gpu"),
        ("PRECISION", "int4"),
        ("SPEED", "turbo"),
        ("SPEED", "compile,first_block_cache"),
        ("LINK_SECONDS", "604801"),
        ("MAX_STRIKES", "0"),
        ("LOG_LEVEL", "debug"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=f"PRESSROOM_{name} "):
        read(**{name: value})


def test_an_error_does_not_repeat_a_secret():
    with pytest.raises(SettingsError) as caught:
        read(SECRET_KEY="hunter2")
    assert "hunter2" not in str(caught.value)
    assert SECRET not in repr(read(SECRET_KEY=SECRET, DATABASE_URL="postgresql://ada:" + SECRET + "@db/x"))


@pytest.mark.parametrize(
    "environ",
    [
        {"LEASE_SECONDS": "2", "BEAT_SECONDS": "1"},
        {"SAFETY_REVIEW_ABOVE": "0.9", "SAFETY_BLOCK_ABOVE": "0.8"},
        {"SPEED": "none,compile"},
        {"SPEED": "int8,fp8"},
        {"SPEED": "fuse_qkv", "ADAPTERS": "loras"},
    ],
)
def test_contradictory_values_are_refused(environ):
    with pytest.raises(SettingsError, match=" must "):
        read(**environ)


def test_models_are_separated_by_commas():
    assert read(MODELS=" a/sd15, b/sdxl,, ").models == ("a/sd15", "b/sdxl")


def test_optimizations_are_separated_by_commas_and_named_when_refused():
    assert read().speed == ("auto",)
    assert read(SPEED="auto, compile").speed == ("auto", "compile")
    assert read(SPEED="channels_last", ADAPTERS="loras").speed == ("channels_last",)
    with pytest.raises(SettingsError, match=r"'channels_last'.*'compile'"):
        read(SPEED="turbo")


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        Settings().bind = "0.0.0.0:80"


def test_links_and_the_command_line_follow_the_public_url():
    settings = read(PUBLIC_URL="https://press.example/")
    assert settings.base_url == settings.client_url == "https://press.example"
    assert read(PUBLIC_URL="https://press.example", API_URL="http://inside:8000/").client_url == "http://inside:8000"


def test_trusted_proxies_must_be_networks():
    assert read(TRUSTED_PROXIES="10.0.0.0/8, ::1").trusted_proxies == ("10.0.0.0/8", "::1")
    with pytest.raises(SettingsError, match=r"PRESSROOM_TRUSTED_PROXIES must contain only networks.*'proxy'"):
        read(TRUSTED_PROXIES="10.0.0.1,proxy")


def test_the_secret_is_generated_once_for_this_user_alone(tmp_path):
    settings = read(HOME=str(tmp_path / "new"))
    secret = settings.read_secret()
    assert len(secret) >= 32
    assert settings.read_secret() == secret
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "\n", "short", " " * 40])
def test_a_secret_that_is_empty_or_short_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "secret_key").write_text(content)
    with pytest.raises(SettingsError, match=r"Restore the file from a backup, or delete it"):
        read(HOME=str(tmp_path)).read_secret()


def test_a_secret_that_cannot_be_created_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"not a directory.*PRESSROOM_SECRET_KEY"):
        read(HOME=str(tmp_path / "file")).read_secret()


def test_a_secret_that_is_set_is_used_and_not_written_to_disk(tmp_path):
    assert read(HOME=str(tmp_path), SECRET_KEY=SECRET).read_secret() == SECRET.encode()
    assert list(tmp_path.iterdir()) == []


def test_the_brokers_socket_is_short_enough_for_the_kernel_however_deep_the_directory(tmp_path):
    deep = tmp_path / "/".join(["a-rather-long-name"] * 8)
    socket = read(HOME=str(deep)).redis_socket
    assert len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
    assert socket != read(HOME=str(deep / "other")).redis_socket
    assert read(HOME="/srv/press").redis_socket == Path("/srv/press/valkey/valkey.sock")
