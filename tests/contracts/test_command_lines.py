"""No secret stands on a command line, which every user of a machine can read."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
PROGRAM = re.compile(r"\b(curl|wget|redis-cli|redis-server|psql|pressroom|gunicorn|docker)\b.*")
SECRET_VARIABLE = re.compile(r"\$\{?[A-Z_]*(KEY|PASSWORD|SECRET)")


def test_no_command_of_the_compose_file_contains_a_password() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for name, service in services.items():
        for part in ("command", "entrypoint", "healthcheck"):
            assert not SECRET_VARIABLE.search(str(service.get(part))), (name, part)


def test_no_example_passes_a_secret_as_an_argument() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            called = PROGRAM.search(line)
            assert called is None or not SECRET_VARIABLE.search(called.group()), (page.name, line)
