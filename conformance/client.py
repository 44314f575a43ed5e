"""Orders an echo, a query and its retrieve by message, follows both, and reads the result; needs pika alone.

python client.py REMOTE STORE FIRST_DAY LAST_DAY
"""

import json
import os
import sys
import time
import uuid

import pika

URL = os.environ.get("DOSEQR_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
PREFIX = os.environ.get("DOSEQR_AMQP_PREFIX", "doseqr")
#: Seconds without any event after which we give up: no worker listens, or the PACS is away.
PATIENCE_S = 120
ENDS = ("completed", "incomplete", "failed", "cancelled")


class Client:
    """Publishes commands, and reads the events about them from a queue of its own."""

    def __init__(self, connection: pika.BlockingConnection) -> None:
        self.channel = connection.channel()
        self.channel.confirm_delivery()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue

    def publish(self, name: str, **data: object) -> str:
        """Publish a command, after binding what follows it; return its id.

        Raises:
            pika.exceptions.UnroutableError: no service has ever run here.
        """
        command_id = uuid.uuid4().hex
        self.channel.queue_bind(self.queue, f"{PREFIX}.events", f"*.*.{command_id}")
        command = {"specversion": "1.0", "id": command_id, "source": "/example", "data": data}
        command["type"] = f"doseqr.command.{name}.v1"
        properties = pika.BasicProperties(delivery_mode=2, message_id=command_id, reply_to=self.queue)
        self.channel.basic_publish(
            f"{PREFIX}.commands", name, json.dumps(command), properties, mandatory=True
        )
        return command_id

    def until(self, command_id: str, *names: str) -> tuple[str, dict]:
        """Print what follows a command up to an event of one of these names, and return that."""
        seen = set()
        deadline = time.monotonic() + PATIENCE_S
        for _, properties, body in self.channel.consume(self.queue, auto_ack=True, inactivity_timeout=1):
            if time.monotonic() > deadline:
                break
            event = json.loads(body) if body is not None else {}
            # An event may come twice; what is about earlier commands is of no interest any more.
            if not event or properties.correlation_id != command_id or event["id"] in seen:
                continue
            seen.add(event["id"])
            deadline = time.monotonic() + PATIENCE_S
            name, data = event["type"].removeprefix("doseqr.event.").removesuffix(".v1"), event["data"]
            if name == "rejected":
                sys.exit(f"rejected: {data['field']}: {data['problem']}")
            print(name, json.dumps(data.get("counts") or {}))
            if name in names:
                return name, data
        sys.exit(f"nothing came about {command_id} for {PATIENCE_S} s")

    def result(self, job_id: str, kind: str) -> None:
        """Read the pages of a job's result, which come to our own queue (`reply_to`)."""
        number, after = 0, ""
        while True:
            _, page = self.until(self.publish("result", job_id=job_id, after=after), "job.result")
            number, after = number + len(page[kind]), page["next"]
            if not after:
                break
        print("result", kind, number)


def main(remote: str, store: str, first_day: str, last_day: str) -> int:
    """Go the whole way once; return 0 if all arrived."""
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        client = Client(connection)
        _, echo = client.until(client.publish("echo", nodes=[remote, store]), "echo.completed")
        for status in echo["results"]:
            print("node", status["node"], status["outcome"])
        criteria = {"types": ["CT", "DX", "MG"], "date_from": first_day, "date_until": last_day}
        query_id = client.publish("query", remote=remote, store=store, criteria=criteria)
        client.until(query_id, *ENDS)
        retrieve_id = client.publish("retrieve", query_id=query_id)
        end, _ = client.until(retrieve_id, *ENDS)
        client.result(query_id, "studies")
        client.result(retrieve_id, "objects")
    return 0 if end == "completed" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
