"""A campaign by HTTP, from its making to its end."""

from typing import Any

from tests.functional.stack import Client
from tests.support.waiting import until

TEMPLATE = {"prompt": "a card for {{ name }}"}
QUICK_LOOKS = {"model": "painted", "width": 64, "height": 64, "steps": 2}


class Run:
    """A campaign that is approved, and started unless it is to wait."""

    def __init__(self, client: Client, people: int, *, waits: bool = False, **fields: Any) -> None:
        self._client = client
        body = {"name": "birthdays", "template": TEMPLATE, "budget": {"amount": "1000"}, "defaults": QUICK_LOOKS}
        self.id: str = self._client.post("/v1/campaigns", status=201, **(body | fields))["id"]
        rows = "".join(f"p{number},name {number}\n" for number in range(people))
        answer = self._client.http.put(
            f"/v1/campaigns/{self.id}/recipients",
            content=f"recipient_id,name\n{rows}".encode(),
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 200, answer.text
        self.do("approve", spec_digest=self.look()["spec_digest"])
        if not waits:
            self.do("start")

    def do(self, verb: str, **body: Any) -> dict[str, Any]:
        return self._client.post(f"/v1/campaigns/{self.id}/{verb}", status=200, **body)

    def look(self) -> dict[str, Any]:
        answer = self._client.http.get(f"/v1/campaigns/{self.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def printed(self) -> int:
        return self.look()["progress"]["prints"]["printed"]

    def finish(self, people: int, seconds: float = 60) -> None:
        """Wait until it is completed; what lost its presses too often is tried again, as its owner would."""
        until(lambda: self.look()["status"] == "completed", "the campaign to complete", seconds)
        while self.printed < people:
            self.do("retry?only=retryable")
            until(lambda: self.look()["status"] == "completed", "what was lost to be printed", seconds)
        shown = self.look()
        assert shown["budget"]["held"] == "0"
        assert shown["progress"]["prints"]["wanted"] == people
