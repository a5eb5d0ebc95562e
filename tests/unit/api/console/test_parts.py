"""The console's small parts: shared snapshots, sessions, forms, code snippets, amounts."""

import json
import shlex
import threading
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from werkzeug.datastructures import MultiDict

from api.console import session
from api.console.fragment_cache import FragmentCache
from api.console.navigation import SECTIONS
from api.console.pages import generate_form
from api.console.pages.code_snippets import render_snippets
from api.console.rendering import format_money, format_seconds
from api.console.session import Sessions
from api.jobs.schemas import Request
from tests.support import factories

REQUEST = Request(**factories.image_request(prompt='it\'s a "fox" & $HOME').model_dump() | {"strength": None})


def test_a_snapshot_is_computed_once_for_simultaneous_requests() -> None:
    snapshots, made, shown = FragmentCache(), [], []
    together = threading.Barrier(8)

    def make() -> str:
        made.append(1)
        return "the overview"

    def ask() -> None:
        together.wait()
        shown.append(snapshots.read("overview", make).html)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), shown) == (1, ["the overview"] * 8)


def test_a_failed_snapshot_is_retried_by_the_next_request() -> None:
    snapshots = FragmentCache()

    def fail() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        snapshots.read("overview", fail)
    assert snapshots.read("overview", lambda: "mended").html == "mended"


def test_a_request_during_a_refresh_gets_the_previous_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.console.fragment_cache.RENDER_TIME_SHARE", 1e9)
    snapshots = FragmentCache()
    snapshots.read("overview", lambda: "old", 0)
    begun, finish = threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        finish.wait(30)
        return "new"

    maker = threading.Thread(target=snapshots.read, args=("overview", make, 0))
    maker.start()
    assert begun.wait(30)
    assert snapshots.read("overview", make, 0).html == "old"
    finish.set()
    maker.join()
    assert snapshots.read("overview", lambda: "newer", 0).html == "newer"


def test_a_cookie_is_read_by_the_server_that_wrote_it_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    session_id, sessions = uuid4(), Sessions(b"one secret")
    cookie = sessions.sign(session_id)
    read = sessions.read(cookie)
    assert read is not None
    assert read.session_id == session_id
    assert Sessions(b"another secret").read(cookie) is None
    assert sessions.read(cookie + "x") is None
    later = session.utcnow() + session.SESSION_LIFETIME + timedelta(seconds=1)
    monkeypatch.setattr(session, "utcnow", lambda: later)
    assert sessions.read(cookie) is None


def test_the_token_of_one_session_is_invalid_in_another() -> None:
    sessions = Sessions(b"one secret")
    one, other = sessions.sign(uuid4()), sessions.sign(uuid4())
    assert sessions.is_own(one, sessions.token(one))
    assert not sessions.is_own(other, sessions.token(one))
    assert not sessions.is_own(one, "é")


def test_form_numbers_are_parsed_and_empty_fields_are_omitted() -> None:
    form = MultiDict(
        {"prompt": " a fox ", "width": "64", "guidance_scale": "4.5", "seed": "", "steps": "x", "strength": "0.8"}
    )
    form.setlist("adapter", ["ink"])
    form["scale:ink"] = "0.5"
    assert generate_form.parse_generate_form(form) == {
        "prompt": "a fox",
        "width": 64,
        "guidance_scale": 4.5,
        "steps": "x",
        "adapters": [{"name": "ink", "scale": 0.5}],
    }


def test_code_snippets_are_read_back_unchanged_by_a_shell_and_python() -> None:
    recipes = render_snippets(REQUEST, ["#ff8800"], "https://pressroom.example")
    pipe, _, command = recipes.curl.partition("|\n")
    assert "$PRESSROOM_API_KEY" in pipe
    assert "KEY" not in command.upper()  # not among the arguments of curl
    body = json.loads(shlex.split(recipes.curl)[-1])
    assert body["prompt"] == REQUEST.prompt
    assert body["palette"] == ["#ff8800"]
    assert "init_image" not in body
    compile(recipes.python, "recipe", "exec")
    assert repr(REQUEST.prompt) in recipes.python


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00 USD"),
        ("0.6", "0.60 USD"),
        ("1234.5", "1,234.50 USD"),
        ("0.000021", "0.000021 USD"),
        ("0.0125", "0.0125 USD"),
    ],
)
def test_small_amounts_are_not_shown_as_zero(amount: str, shown: str) -> None:
    assert format_money(Decimal(amount), "USD") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.5, "0.50 s"), (59, "59 s"), (61, "1 min 1 s"), (3700, "1 h 1 min"), (200_000, "2.3 days")]
)
def test_durations_are_shown_in_fitting_units(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown


def test_every_section_leads_to_a_view_of_its_module() -> None:
    from api.console import setup  # noqa: PLC0415

    modules = {view.__name__.removeprefix("api.console.pages.").replace(".", "_"): view for view in setup.VIEWS}
    assert all(hasattr(modules[module], name) for module, name in (s.home.split(":") for s in SECTIONS))
