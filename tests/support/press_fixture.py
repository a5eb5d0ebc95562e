"""Presses in this process, with a database, files for storage, and settings."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from PIL import Image as Pillow
from sqlalchemy import select

from common.db.engine import Database
from common.errors import PressroomError, StandInWarning
from common.models.catalog import load_offered_models
from common.settings import Settings
from common.storage import open_storage
from common.storage.port import Storage
from common.tables import Attempt, Image, Job
from tests.support import invariants
from worker.checkers.interface import Checker
from worker.checkers.scripted import ScriptedChecker
from worker.engine.interface import Engine
from worker.engine.painted import PaintedEngine
from worker.metering.meter import Meter
from worker.pictures.finish import open_finisher
from worker.press.press import Press

BRISK = {
    "PRESSROOM_MODELS": "painted",
    "PRESSROOM_BEAT_SECONDS": "0.1",
    "PRESSROOM_PAINTED_STEP_SECONDS": "0.005",
}


@dataclass
class PressFixture:
    """A database, a storage and settings, in which presses can be opened."""

    database: Database
    storage: Storage
    settings: Settings

    @contextmanager
    def press(
        self,
        *,
        checker: Checker | None = None,
        picture: Pillow.Image | None = None,
        engine: Callable[[Engine], Engine] = lambda engine: engine,
    ) -> Iterator[Press]:
        """Open a press, and close it when the block ends."""
        meter = Meter()
        press = Press(
            self.settings,
            [card for card, _ in load_offered_models(self.settings).values()],
            database=Database(self.database.url.render_as_string(hide_password=False)),
            storage=self.storage,
            engine=engine(PaintedEngine(self.settings, meter, picture=picture)),
            checker=checker or ScriptedChecker(),
            finisher=open_finisher(self.settings),
            meter=meter,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StandInWarning)
            try:
                press.start()
            except PressroomError:
                press.database.close()
                raise
        yield press
        press.stop()

    def images(self, job_id: UUID) -> list[Image]:
        with self.database.reading() as session:
            return list(session.scalars(select(Image).where(Image.job_id == job_id).order_by(Image.position)))

    def attempts(self, job_id: UUID) -> list[Attempt]:
        with self.database.reading() as session:
            return list(session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)))

    def check(self) -> None:
        with self.database.reading() as session:
            accepted = list(session.scalars(select(Job.id)))
        invariants.check(self.database, self.storage, accepted=accepted)


def open_press_fixture(database: Database, folder: Path, **changes: str) -> PressFixture:
    """Return a press fixture on *database* with its files below *folder*, where a step takes five milliseconds."""
    settings = Settings.from_environ({"PRESSROOM_HOME": str(folder / "home"), **BRISK, **changes})
    return PressFixture(database, open_storage(settings), settings)
