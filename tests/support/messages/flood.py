"""Many messages made up from the schemas, and what becomes of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.broker.topology import DEAD_LETTERS, QUEUE_NAMES
from shared.contract.messages import COMMANDS, Event, Rejected
from tests.support.messages.from_schema import Json, commands, damaged, values
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

ROUTING_KEYS = {command.TYPE: command.ROUTING_KEY for command in COMMANDS}


def messages(number: int, seed: int) -> Iterator[tuple[str, Message]]:
    """Yield messages with their ids, a third of them damaged."""
    random = Random(seed)
    schemas = commands()
    made = {kind: _made_up(schema, number // len(schemas) + 1) for kind, schema in schemas.items()}
    for count in range(number):
        kind = random.choice(sorted(made))
        body = json.loads(json.dumps(random.choice(made[kind])))
        body["id"] = f"m{count}"
        _name_what_is_there(body, random)
        given: Any = damaged(body, random) if count % 3 == 2 else body
        yield f"m{count}", Message(ROUTING_KEYS[kind], json.dumps(given).encode(), f"m{count}")


def _made_up(schema: Json, number: int) -> list[Json]:
    found: list[Json] = []

    @settings(
        max_examples=number,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values(schema))
    def keep(body: Json) -> None:
        found.append(body)

    keep()
    return found


def _name_what_is_there(body: Json, random: Random) -> None:
    """Let some messages name nodes that there are, so that they are accepted."""
    data = body.get("data")
    if isinstance(data, dict) and body["type"] == "doseqr.command.query.v1" and random.random() < 0.5:
        data["remote"], data["store"] = "pacs", "doseqr"


def ids_of(event: Event) -> set[str]:
    """Return the ids of the commands that an event may respond to."""
    names = ("command_id", "job_id", "echo_id")
    return {str(found) for name in names if (found := getattr(event, name, None))}


def flood(system: System, broker: MemoryBroker, number: int, seed: int = 1) -> Counter[str]:
    """Send messages, and assert that each has been accepted or rejected with a reason; count which."""
    sent = []
    for message_id, message in messages(number, seed):
        broker.command(message)
        sent.append(message_id)
        if message_id.endswith("00"):
            wait_until(lambda: _is_empty(broker))
    rejected: set[str] = set()
    accepted: set[str] = set()

    def all_have_a_response() -> bool:
        for _, event in system.events:
            if isinstance(event, Rejected):
                assert event.problem
                rejected.add(event.command_id)
            else:
                accepted.update(ids_of(event))
        return rejected.union(accepted).issuperset(sent)

    try:
        wait_until(all_have_a_response)
    except AssertionError:
        silent = [message_id for message_id in sent if message_id not in rejected | accepted]
        raise AssertionError(f"neither accepted nor rejected: {silent[:10]}, {len(silent)} in all") from None
    wait_until(lambda: _is_empty(broker))
    return Counter("rejected" if message_id in rejected else "accepted" for message_id in sent)


def _is_empty(broker: MemoryBroker) -> bool:
    return not any(broker.queue_state(queue).ready for queue in QUEUE_NAMES - {DEAD_LETTERS})
