"""The hook of publication: a service of the operator's that sees every file before it leaves, and can only say no.

It is meant for what compares pictures with lists of known material. Anything but a clear yes or no is no answer, and
then nothing is published.
"""

import shlex
import subprocess
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import httpx2

from common.errors import SafetyUnavailableError
from common.settings import Settings

EXIT_YES, EXIT_NO = 0, 3
"""Exit statuses of a command. A script that breaks ends with 1 or 2, which must not pass for a verdict."""

STATUS_NO = 451
"""«Unavailable For Legal Reasons» (RFC 7725): no proxy or login page answers with it by mistake."""

JOB_HEADER, JOB_VARIABLE = "Pressroom-Job", "PRESSROOM_JOB"
TYPE_VARIABLE = "PRESSROOM_CONTENT_TYPE"


class Hook(Protocol):
    """Who is asked about every file before it leaves."""

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Tell whether the file may leave; raise SafetyUnavailableError when there is no clear answer in time.

        Safe to call from several threads.
        """


class NoHook:
    """Nobody is asked."""

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class CommandHook:
    """A program that gets the file on its standard input."""

    words: tuple[str, ...]
    seconds: float

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return what the program's exit status says."""
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", JOB_VARIABLE: str(job_id), TYPE_VARIABLE: content_type}
        try:
            done = subprocess.run(
                self.words, input=data, env=environ, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise _no_answer(f"took longer than {self.seconds:g} seconds") from None
        except OSError as error:
            raise _no_answer(f"cannot be run: {(error.strerror or str(error)).lower()}") from error
        if done.returncode not in (EXIT_YES, EXIT_NO):
            raise _no_answer(f"ended with status {done.returncode}")
        return done.returncode == EXIT_YES


class UrlHook:
    """A server that gets the file by POST."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._client = httpx2.Client(timeout=seconds, trust_env=False)

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return what the answer's status says."""
        headers = {"Content-Type": content_type, JOB_HEADER: str(job_id)}
        try:
            # Its body is not read: it could go on for ever.
            with self._client.stream("POST", self._url, content=data, headers=headers) as answer:
                status = answer.status_code
        except httpx2.TimeoutException:
            raise _no_answer(f"took longer than {self._seconds:g} seconds") from None
        except httpx2.HTTPError as error:
            raise _no_answer(f"cannot be reached: {type(error).__name__}") from error
        if status == STATUS_NO:
            return False
        if not httpx2.codes.is_success(status):
            raise _no_answer(f"answered with status {status}")
        return True


def open_hook(settings: Settings) -> Hook:
    """Return the hook that *settings* name."""
    if settings.publication_hook is None:
        return NoHook()
    hook = settings.publication_hook.get_secret_value()
    if hook.startswith(("http://", "https://")):
        return UrlHook(hook, settings.publication_hook_seconds)
    return CommandHook(tuple(shlex.split(hook)), settings.publication_hook_seconds)


def _no_answer(reason: str) -> SafetyUnavailableError:
    return SafetyUnavailableError(f"The hook of publication {reason}, so nothing was published.")
