"""Reads how a job stands and its whole result by message, in pages; needs pika alone.

python read_a_result.py JOB_ID
"""

import json
import os
import sys
import uuid

import pika

job_id = sys.argv[1]
url = os.environ.get("DOSEQR_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
prefix = os.environ.get("DOSEQR_AMQP_PREFIX", "doseqr")

with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True).method.queue

    def request(name: str, **data: object) -> dict:
        """Publish a command, and return the data of the response in our own queue."""
        command_id = uuid.uuid4().hex
        command = {"specversion": "1.0", "id": command_id, "source": "/example", "data": data}
        command["type"] = f"doseqr.command.{name}.v1"
        properties = pika.BasicProperties(
            message_id=command_id, reply_to=queue, correlation_id=command_id, expiration="30000"
        )
        channel.basic_publish(f"{prefix}.commands", name, json.dumps(command), properties, mandatory=True)
        responses = channel.consume(queue, auto_ack=True, inactivity_timeout=30)
        _, found, body = next(responses)
        while body is not None and found.correlation_id != command_id:
            _, found, body = next(responses)
        if body is None:
            sys.exit("no response within 30 s: does a query worker listen?")
        response = json.loads(body)
        if response["type"] == "doseqr.event.rejected.v1":
            sys.exit(response["data"]["problem"])
        return response["data"]

    print("status", request("status", job_id=job_id)["job"]["status"])
    page = request("result", job_id=job_id)
    while True:
        for kind in ("studies", "objects", "missing"):
            for entry in page[kind]:
                print(kind, json.dumps(entry))
        if not page["next"]:
            break
        page = request("result", job_id=job_id, after=page["next"])
