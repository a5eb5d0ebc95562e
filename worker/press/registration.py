"""A press's row in the table of presses, as it is before the press has loaded anything."""

import os
import socket
from uuid import UUID

from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.settings import Settings
from common.tables import Press as PressRow


def insert_press(session: Session, press_id: UUID, settings: Settings, accelerator: str) -> None:
    """Insert the row of a press of this process, which offers no model yet."""
    session.add(
        PressRow(
            id=press_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            accelerator=accelerator,
            models=[],
            price_per_hour=settings.gpu_price_per_hour,
            currency=settings.currency,
            started_at=now_sql(session),
            heartbeat_at=now_sql(session),
        )
    )
