"""Runs the services of a compose file as processes of this machine, where there is no container engine.

Commands, environments and health checks are those of the file, and of the Dockerfiles that it builds. Only what a
container has of its own is replaced: names of hosts by loopback ports, directories by folders, and images by programs.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import running

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<rest>[^}]*))?\}")
HEALTH_SECONDS = 10
VIRTUAL = Path(sys.executable).parent


class Compose:
    """A compose file with the variables of its ``.env``, and what stands for its hosts, directories and programs."""

    def __init__(
        self,
        file: Path,
        variables: Mapping[str, str],
        folder: Path,
        *,
        substitutes: Mapping[str, str],
        overrides: Mapping[str, str],
    ) -> None:
        """*substitutes* replace parts of all texts; *overrides* replace variables of the services that have them."""
        self._file = file
        self._variables = variables
        self._folder = folder
        self._substitutes = substitutes
        self._overrides = overrides
        text = VARIABLE.sub(self._expand, file.read_text(encoding="utf-8"))
        self._content: dict[str, Any] = yaml.safe_load(text)

    @property
    def started(self) -> list[str]:
        """Return the services that ``up`` starts without a profile."""
        return [name for name, service in self._content["services"].items() if not service.get("profiles")]

    def find_requirements(self, name: str) -> dict[str, str]:
        """Return the services that *name* depends on, each with the condition."""
        depends = self._content["services"][name].get("depends_on", {})
        return {other: rule["condition"] for other, rule in depends.items()}

    def build_environ(self, name: str) -> dict[str, str]:
        """Return the environment of a service: of its image, of ``.env`` and of the file."""
        service = self._content["services"][name]
        environ = dict(self._read_image(name, "ENV"))
        environ |= self._variables if "env_file" in service else {}
        environ |= {key: str(value) for key, value in service.get("environment", {}).items()}
        environ |= {key: value for key, value in self._overrides.items() if key in environ}
        return {key: self._substitute(value) for key, value in environ.items()} | {
            "PATH": os.pathsep.join([str(self._folder / "bin"), str(VIRTUAL), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
        }

    def build_command(self, name: str, *extra: str) -> list[str]:
        """Return the command line of a service, with flags for what a container has of its own."""
        service = self._content["services"][name]
        command = service.get("command") or self._read_image(name, "CMD")
        if name == "s3":
            command = ["weed", *command]  # the entry point of the image
        return [*(self._substitute(str(word)) for word in command), *extra]

    def write_program(self, name: str, script: str) -> None:
        """Provide a program that the image of a service has and this machine may lack."""
        path = self._folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def write_configs(self) -> None:
        """Write the files that the compose file keeps inline."""
        for name, config in self._content.get("configs", {}).items():
            (self._folder / f"{name}.conf").write_text(config["content"])

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a service, or of its image; tell whether it succeeds."""
        check = self._content["services"][name].get("healthcheck", {}).get("test") or self._read_image(name, "HEALTH")
        kind, *words = check
        shell = [*(self._substitute(word) for word in words)]
        command = ["sh", "-c", *shell] if kind == "CMD-SHELL" else shell
        done = subprocess.run(
            command,
            env=self.build_environ(name),
            cwd=ROOT,
            capture_output=True,
            timeout=HEALTH_SECONDS,
            check=False,
        )
        return done.returncode == 0

    @contextmanager
    def run(self, name: str, is_ready: Callable[[Path], bool], *extra: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service until the block ends; enter the block once *is_ready* says so of its folder."""
        folder = self._folder / "services" / name
        folder.mkdir(parents=True, exist_ok=True)
        command = self.build_command(name, *extra)
        with running(command, folder, lambda: is_ready(folder / "log"), environ=self.build_environ(name)) as process:
            yield process

    def execute(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment of a service, as ``docker compose exec`` does."""
        environ = self.build_environ(name)
        program = self._substitute(words[0])
        return subprocess.run(
            [program, *words[1:]], env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )

    def _expand(self, found: re.Match[str]) -> str:
        value = self._variables.get(found["name"], "")
        if value or found["kind"] is None:
            return value
        assert found["kind"] == "-", f"{found['name']}: {found['rest']}"
        return str(found["rest"])

    def _substitute(self, text: str) -> str:
        for old, new in self._substitutes.items():
            text = text.replace(old, new)
        return text

    def _read_image(self, name: str, kind: str) -> Any:
        """Return the ENV, the CMD or the health check (in the form of compose) of the Dockerfile of a service."""
        build = self._content["services"][name].get("build")
        if build is None:
            return {} if kind == "ENV" else []
        text = (self._file.parent / build["context"] / build["dockerfile"]).read_text(encoding="utf-8")
        last = text.rpartition("\nFROM ")[2].replace("\\\n", " ")
        if kind == "ENV":
            (line,) = re.findall(r"^ENV (.*)$", last, re.MULTILINE)
            return dict(word.split("=", 1) for word in shlex.split(line) if not word.startswith("PATH="))
        pattern = r"^CMD (\[.*\])$" if kind == "CMD" else r"^HEALTHCHECK .*?CMD (\[.*\])$"
        (line,) = re.findall(pattern, last, re.MULTILINE)
        return json.loads(line) if kind == "CMD" else ["CMD", *json.loads(line)]
