"""The hook of publication says yes or no; anything else is no answer."""

import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest

from common.errors import SafetyUnavailableError, SettingsError
from common.settings import Settings
from worker.pictures.publication_hook import CommandHook, NoHook, UrlHook, open_hook

JOB = UUID(int=7)
FILE = b"the bytes of a picture"


def command(program, seconds=20.0):
    return CommandHook((sys.executable, "-c", program), seconds)


def ask(hook):
    return hook.allows(FILE, "image/png", JOB)


def test_a_command_receives_the_file_and_its_details():
    program = (
        f"import os, sys; sys.exit(3 * (sys.stdin.buffer.read() != {FILE!r}"
        f" or os.environ['PRESSROOM_JOB'] != '{JOB}' or os.environ['PRESSROOM_CONTENT_TYPE'] != 'image/png'))"
    )
    assert ask(command(program))


def test_a_command_refuses_by_its_exit_status():
    assert not ask(command("raise SystemExit(3)"))


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "1 / 0", "import os; os.kill(os.getpid(), 9)"])
def test_a_command_that_breaks_has_not_answered(program):
    with pytest.raises(SafetyUnavailableError, match="ended with status"):
        ask(command(program))


def test_a_command_that_takes_too_long_has_not_answered():
    with pytest.raises(SafetyUnavailableError, match="took longer than"):
        ask(command("import time; time.sleep(60)", seconds=0.2))


def test_a_command_that_is_not_there_has_not_answered():
    with pytest.raises(SafetyUnavailableError, match="cannot be run"):
        ask(CommandHook(("/nowhere/at-all",), 1))


def test_a_command_sees_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("PRESSROOM_SECRET_KEY", "x" * 32)
    assert ask(command("import os, sys; sys.exit(3 * any('SECRET' in name for name in os.environ))"))


class Answering(BaseHTTPRequestHandler):
    """Answers with the status of its server, and remembers the request."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((body, self.headers["Content-Type"], self.headers["Pressroom-Job"]))
        if self.server.status is None:
            self.server.over.wait(30)
            return
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def serving(status):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.status, server.got, server.over = status, [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/check"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "answer"), [(200, True), (204, True), (451, False)])
def test_a_server_answers_by_its_status(status, answer):
    with serving(status) as (server, url):
        assert ask(UrlHook(url, 20)) is answer
        assert server.got == [(FILE, "image/png", str(JOB))]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500])
def test_a_server_that_answers_anything_else_has_not_answered(status):
    with serving(status) as (_, url), pytest.raises(SafetyUnavailableError, match=f"status {status}"):
        ask(UrlHook(url, 20))


def test_a_server_that_takes_too_long_has_not_answered():
    with serving(None) as (_, url), pytest.raises(SafetyUnavailableError, match="took longer than"):
        ask(UrlHook(url, 0.2))


def test_a_server_that_is_gone_has_not_answered():
    with serving(200) as (_, url):
        pass
    with pytest.raises(SafetyUnavailableError, match="cannot be reached"):
        ask(UrlHook(url, 5))


def test_the_settings_choose_the_hook():
    assert isinstance(open_hook(Settings()), NoHook)
    assert isinstance(open_hook(Settings(publication_hook="https://hashes.example/check")), UrlHook)
    assert open_hook(Settings(publication_hook="scan --list 'known ones'")) == CommandHook(
        ("scan", "--list", "known ones"), 10
    )


@pytest.mark.parametrize("hook", ["ftp://hashes.example/", "https:///check", "scan 'unclosed"])
def test_an_invalid_hook_is_refused(hook):
    with pytest.raises(SettingsError, match="PUBLICATION_HOOK must be a command or an http"):
        Settings.from_environ({"PRESSROOM_PUBLICATION_HOOK": hook})
