"""Every setting of Pressroom, read once from ``PRESSROOM_*`` variables at the edge of each process."""

import difflib
import os
from collections.abc import Mapping
from typing import Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common import failpoints
from common.errors import SettingsError
from common.settings.limits import LimitSettings
from common.settings.parsing import PREFIX
from common.settings.press import PressSettings
from common.settings.provenance import ProvenanceSettings
from common.settings.retention import RetentionSettings
from common.settings.safety import STAND_IN, SafetySettings
from common.settings.services import ServiceSettings
from common.settings.timing import TimingSettings
from common.settings.webhooks import WebhookSettings

__all__ = ["EXIT_BAD_SETTINGS", "PREFIX", "Settings"]

EXIT_BAD_SETTINGS = 78
"""Exit status of a process with invalid settings (``EX_CONFIG`` in sysexits.h)."""


class Settings(
    WebhookSettings,
    RetentionSettings,
    LimitSettings,
    TimingSettings,
    ProvenanceSettings,
    SafetySettings,
    PressSettings,
    ServiceSettings,
    BaseSettings,
):
    """All settings of one process; immutable, and unknown names are rejected."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        if self.faults and self.models != ("painted",):
            raise ValueError(f"{PREFIX}FAULTS is for tests and requires {PREFIX}MODELS=painted")
        try:
            failpoints.parse_failpoints(self.faults)
        except ValueError as error:
            raise ValueError(f"{PREFIX}FAULTS {error}") from None
        return self

    @model_validator(mode="after")
    def _check_stand_in(self) -> Self:
        if self.checker == (STAND_IN,) and self.models != ("painted",):
            raise ValueError(f"{PREFIX}CHECKER=scripted is for tests and requires {PREFIX}MODELS=painted")
        return self

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from *environ* (default: ``os.environ``); raise SettingsError with one clause per error."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        for name in environ if environ is not None else os.environ:
            if name.startswith(PREFIX) and name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise SettingsError(f"{name} is not a setting of Pressroom{hint}")
        try:
            if environ is None:
                return cls()
            given = {key.removeprefix(PREFIX).lower(): value for key, value in environ.items() if key in known}
            return cls(**{key: value for key, value in given.items() if value != ""})  # type: ignore[arg-type]  # parsed by pydantic
        except ValidationError as error:
            raise SettingsError(
                "; ".join(_describe_error(fault) for fault in error.errors(include_input=False))
            ) from None


def _describe_error(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    name = "".join(f"{PREFIX}{str(part).upper()} " for part in location[:1]) if isinstance(location, tuple) else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}{message[:1].lower()}{message[1:]}" if name else message
