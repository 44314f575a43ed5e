"""Look at the ports of this container's service, without starting the application.

`healthcheck` asks /health/ready on each health port that listens (DOSEQR_HEALTH_PORT and the four after it)
and succeeds if there is one and all are ready. `healthcheck PORT` only connects to a port.
"""

import os
import socket
import sys

#: Services that may run in one container; each has a health port.
SERVICES = 5
TIMEOUT_S = 8.0
#: Bytes of a response that are read and printed.
RESPONSE_BYTES = 2000
REQUEST = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 healthy, 1 not."""
    try:
        if arguments:
            connected(int(arguments[0])).close()
            return 0
        first = int(os.environ.get("DOSEQR_HEALTH_PORT", "0"))
        responses = [response for port in range(first, first + SERVICES) if (response := ready(port))]
    except (OSError, ValueError) as error:
        print(error)
        return 1
    print(
        "; ".join(response.rpartition("\n")[2] for response in responses) or f"nothing listens from {first}"
    )
    return 0 if responses and all(" 200 " in response.split("\n")[0] for response in responses) else 1


def ready(port: int) -> str:
    """Return the response on a health port; nothing if it does not listen."""
    try:
        connection = connected(port)
    except ConnectionRefusedError:
        return ""
    with connection:
        connection.sendall(REQUEST)
        response = b""
        while len(response) < RESPONSE_BYTES and (part := connection.recv(RESPONSE_BYTES)):
            response += part
    return response.decode("utf-8", "replace").replace("\r\n", "\n")


def connected(port: int) -> socket.socket:
    """Return a connection to a port of this container."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    connection.settimeout(TIMEOUT_S)
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
