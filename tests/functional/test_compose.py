"""The services of ``docker/compose.yaml``, from empty volumes, as a user of its first lines would start them."""

import io
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
import sqlalchemy
from PIL import Image

from tests.support.servers import services
from tests.support.servers.api_servers import ROOT
from tests.support.servers.compose import Compose
from tests.support.servers.processes import free_ports, own_folder, stop
from tests.support.waiting import until

FILE = ROOT / "docker" / "compose.yaml"
SLOW = 300
"""Seconds: torch is imported, and the starter model loaded and warmed up."""

AWAY_SECONDS = 20
PASSWORD = "composetest"

pytestmark = pytest.mark.timeout(SLOW)


class Project:
    """The running project: its services, its api, and a key."""

    def __init__(self, compose: Compose, folder: Path, ports: dict[str, int], closing: ExitStack) -> None:
        self.compose = compose
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._ports = ports
        self._weed_ports = [*free_ports(6), ports["s3"], *free_ports(3)]
        self._closing = closing

    def start(self, name: str) -> None:
        """Start a service and what it depends on, and wait as the conditions say."""
        if name in self.processes or name == "postgres":
            return
        for other, condition in self.compose.find_requirements(name).items():
            self.start(other)
            if condition == "service_completed_successfully":
                assert self.processes[other].wait(60) == 0, self.read_log(other)
        self.processes[name] = self._closing.enter_context(
            self.compose.run(name, self._choose_readiness(name), *self._list_flags(name))
        )

    def kill(self, name: str) -> None:
        """End a service at once; ``start`` starts it again on the same data."""
        stop(self.processes.pop(name), signal.SIGKILL)

    def read_log(self, name: str) -> str:
        return (self._folder / "services" / name / "log").read_text(errors="replace")

    def order(self, key: str) -> str:
        """Submit a job; return its id."""
        answer = self.send("POST", "/v1/jobs", key, json={"prompt": "a fox on a red background", "seed": 1})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def fetch_picture(self, key: str, job_id: str) -> Image.Image:
        """Wait for the job, and return its image, fetched by its link from where the port of S3 is published."""
        job = until(lambda: self._find_ended(key, job_id), "the job to end", SLOW)
        assert job["status"] == "succeeded", job
        url = httpx2.URL(job["images"][0]["url"])
        answer = httpx2.get(
            url.copy_with(port=self._ports["s3"]), headers={"Host": url.netloc.decode()}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return Image.open(io.BytesIO(answer.content))

    def send(self, method: str, path: str, key: str, **options: object) -> httpx2.Response:
        url = f"http://127.0.0.1:{self._ports['api']}{path}"
        return httpx2.request(
            method, url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30, **options
        )

    def _find_ended(self, key: str, job_id: str) -> dict | None:
        job = self.send("GET", f"/v1/jobs/{job_id}", key).json()
        return job if job["status"] in ("succeeded", "failed", "expired") else None

    def _choose_readiness(self, name: str) -> Callable[[Path], bool]:
        if name in ("migrate", "clerk"):
            return lambda _: True
        if name == "press":
            return lambda log: "press_ready" in log.read_text(errors="replace")
        return lambda _: self.compose.is_healthy(name)

    def _list_flags(self, name: str) -> list[str]:
        """Return the flags that keep two services on one machine apart."""
        data = self._folder / "volumes" / name
        data.mkdir(parents=True, exist_ok=True)
        match name:
            case "redis":
                return ["--port", str(self._ports["redis"]), "--bind", "127.0.0.1", "--dir", str(data)]
            case "s3":
                flags = ["-ip=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"]
                return [*flags, *services.build_seaweedfs_ports(self._weed_ports)]
            case _:
                return []


@pytest.fixture(scope="module")
def project(postgresql_server: str) -> Iterator[Project]:
    """The project, started from empty volumes."""
    database = sqlalchemy.make_url(services.create_database(postgresql_server, "compose"))
    ports = dict(zip(("api", "redis", "s3", "closed"), free_ports(4), strict=True))
    variables = {"POSTGRES_PASSWORD": str(database.password), "REDIS_PASSWORD": PASSWORD, "S3_PASSWORD": PASSWORD}
    with own_folder() as folder, ExitStack() as closing:
        data = folder / "volumes" / "data"
        data.mkdir(parents=True)
        substitutes = {
            "@postgres/pressroom": f"@/compose?host={database.query['host']}",
            "@redis:6379": f"@127.0.0.1:{ports['redis']}",
            "http://s3:8333": f"http://127.0.0.1:{ports['s3']}",
            "127.0.0.1:8333": f"127.0.0.1:{ports['s3']}",
            "0.0.0.0:8000": f"127.0.0.1:{ports['api']}",
            "127.0.0.1:8000": f"127.0.0.1:{ports['api']}",
            "redis-server": str(services.find_redis()),
            "/etc/redis.conf": str(folder / "redis.conf"),
            "-dir=/data": f"-dir={folder / 'volumes' / 's3'}",
            "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1",
        }
        overrides = {
            "PRESSROOM_HOME": str(data),
            "PRESSROOM_S3_PUBLIC_ENDPOINT": f"http://127.0.0.1:{ports['closed']}",  # in a container, nothing is there
        }
        compose = Compose(FILE, variables, folder, substitutes=substitutes, overrides=overrides)
        compose.write_configs()
        ping = f"import os, redis; redis.Redis(port={ports['redis']}, password=os.environ['REDISCLI_AUTH']).ping()"
        compose.write_program("redis-cli", f'#!/bin/sh\nexec python3 -c "{ping}"\n')
        started = Project(compose, folder, ports, closing)
        for name in compose.started:
            started.start(name)
        yield started


def test_the_services_of_the_compose_file_print_and_go_on_after_s3_was_away(project: Project) -> None:
    key = project.compose.execute("api", "pressroom", "keys", "create", "--name", "me").stdout.strip()
    assert project.fetch_picture(key, project.order(key)).size == (128, 128)
    project.kill("s3")
    job_id = project.order(key)
    time.sleep(AWAY_SECONDS)
    project.start("s3")
    assert project.fetch_picture(key, job_id).size == (128, 128)
    assert project.processes["press"].poll() is None


def test_doctor_finds_no_fault_in_the_container_of_the_api(project: Project) -> None:
    done = project.compose.execute("api", "pressroom", "doctor", "--role", "api")
    assert done.returncode == 0, done.stdout
    assert "! links: Signed links cannot be fetched" in done.stdout
