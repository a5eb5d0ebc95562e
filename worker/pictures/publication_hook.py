"""Publication hook: an operator's service that receives every file before publication and can reject it.

It is meant for services that compare images with lists of known material. Any response that does not clearly accept or
reject the file counts as a failure, and nothing is published.
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
"""Exit statuses of a command. A broken script ends with 1 or 2, which must not count as a verdict."""

STATUS_NO = 451
"""“Unavailable For Legal Reasons” (RFC 7725): proxies and login pages do not send it by mistake."""

JOB_HEADER, JOB_VARIABLE = "Pressroom-Job", "PRESSROOM_JOB"
TYPE_VARIABLE = "PRESSROOM_CONTENT_TYPE"


class Hook(Protocol):
    """A service that is asked about every file before publication."""

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return whether the file may be published; raise SafetyUnavailableError without a clear answer in time.

        Safe to call from several threads.
        """


class NoHook:
    """The hook when none is configured: accepts every file."""

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class CommandHook:
    """A command that receives the file on standard input."""

    words: tuple[str, ...]
    seconds: float

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return the verdict given by the command's exit status."""
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", JOB_VARIABLE: str(job_id), TYPE_VARIABLE: content_type}
        try:
            done = subprocess.run(
                self.words, input=data, env=environ, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise _create_hook_error(f"took longer than {self.seconds:g} seconds") from None
        except OSError as error:
            raise _create_hook_error(f"cannot be run: {(error.strerror or str(error)).lower()}") from error
        if done.returncode not in (EXIT_YES, EXIT_NO):
            raise _create_hook_error(f"ended with status {done.returncode}")
        return done.returncode == EXIT_YES


class UrlHook:
    """A server that receives the file by POST."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._client = httpx2.Client(timeout=seconds, trust_env=False)

    def allows(self, data: bytes, content_type: str, job_id: UUID) -> bool:
        """Return the verdict given by the response status."""
        headers = {"Content-Type": content_type, JOB_HEADER: str(job_id)}
        try:
            # The body is not read: it could be endless.
            with self._client.stream("POST", self._url, content=data, headers=headers) as answer:
                status = answer.status_code
        except httpx2.TimeoutException:
            raise _create_hook_error(f"took longer than {self._seconds:g} seconds") from None
        except httpx2.HTTPError as error:
            raise _create_hook_error(f"cannot be reached: {type(error).__name__}") from error
        if status == STATUS_NO:
            return False
        if not httpx2.codes.is_success(status):
            raise _create_hook_error(f"returned status {status}")
        return True


def open_hook(settings: Settings) -> Hook:
    """Build the hook from the settings."""
    if settings.publication_hook is None:
        return NoHook()
    hook = settings.publication_hook.get_secret_value()
    if hook.startswith(("http://", "https://")):
        return UrlHook(hook, settings.publication_hook_seconds)
    return CommandHook(tuple(shlex.split(hook)), settings.publication_hook_seconds)


def _create_hook_error(reason: str) -> SafetyUnavailableError:
    return SafetyUnavailableError(f"The publication hook {reason}; nothing was published.")
