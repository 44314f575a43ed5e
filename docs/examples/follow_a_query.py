"""Orders a query by message and follows it to its end; needs pika alone.

python follow_a_query.py REMOTE STORE FIRST_DAY LAST_DAY
"""

import json
import os
import sys
import uuid

import pika

remote, store, first_day, last_day = sys.argv[1:]
url = os.environ.get("DOSEQR_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
prefix = os.environ.get("DOSEQR_AMQP_PREFIX", "doseqr")
query_id = uuid.uuid4().hex
criteria = {"types": ["CT", "DX", "MG"], "date_from": first_day, "date_until": last_day}
command = {"specversion": "1.0", "id": query_id, "source": "/example", "type": "doseqr.command.query.v1"}
command["data"] = {"remote": remote, "store": store, "criteria": criteria}

with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True).method.queue
    for routing_key in (f"query.*.{query_id}", f"command.rejected.{query_id}"):
        channel.queue_bind(queue, f"{prefix}.events", routing_key)
    properties = pika.BasicProperties(delivery_mode=2, message_id=query_id)
    channel.basic_publish(f"{prefix}.commands", "query", json.dumps(command), properties, mandatory=True)
    for method, _, body in channel.consume(queue, auto_ack=True):
        name, data = method.routing_key.split(".")[1], json.loads(body)["data"]
        print(name, json.dumps(data.get("counts") or data))
        if name in ("completed", "incomplete", "failed", "cancelled", "rejected"):
            break
sys.exit(0 if name == "completed" else 1)
