"""Begins a query with its retrieve over HTTP and follows both; needs the standard library alone.

python http_api.py PAGE TOKEN REMOTE STORE FIRST_DAY LAST_DAY
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid

page, token, remote, store, first_day, last_day = sys.argv[1:]


def send(method, path, body=None, key=None):
    """Send a request and return the open response; end with what is wrong if it is refused."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(page + path, data, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if key is not None:
        request.add_header("Idempotency-Key", key)
    try:
        return urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        sys.exit(f"{problem['title']}: {problem['detail']} {problem['advice']}")


def read(path):
    """Return the JSON of a resource."""
    with send("GET", path) as response:
        return json.load(response)


def follow(job_id):
    """Return the last summary of a job; a stream that ends before the job is opened again."""
    summary = {}
    while summary.get("status") not in ("completed", "incomplete", "failed", "cancelled"):
        with send("GET", f"/api/v1/jobs/{job_id}/events") as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    summary = json.loads(line.removeprefix(b"data: "))
                    print(summary["kind"], summary["status"], summary["counts"])
    return summary


def pages(path):
    """Yield the items of all pages."""
    while path:
        found = read(path)
        yield from found["items"]
        path = found["next"]


criteria = {"types": ["CT", "DX", "MG"], "date_from": first_day, "date_until": last_day}
query = {"remote": remote, "store": store, "criteria": criteria, "retrieve": True}
with send("POST", "/api/v1/queries", query, key=uuid.uuid4().hex) as response:
    query_id = json.load(response)["id"]
if not follow(query_id)["counts"]["kept"]:
    sys.exit("Nothing was kept.")
while not (retrieves := read(f"/api/v1/jobs/{query_id}?studies=false")["retrieves"]):
    time.sleep(1)
ended = follow(retrieves[-1])
for found in pages(f"/api/v1/jobs/{ended['id']}/objects?state=arrived"):
    print("arrived", found["sop_instance_uid"])
sys.exit(0 if ended["status"] == "completed" else 1)
