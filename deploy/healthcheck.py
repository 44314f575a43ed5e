"""Look at the ports of this container's service, without starting the application.

`healthcheck` asks /health/ready on each health port that listens (DOSEQR_HEALTH_PORT and the four after it)
and succeeds if there is one and all are ready. `healthcheck PORT` only connects to a port.
`healthcheck --await HOST:PORT …` ends once all of them take connections, or fails after five minutes.
"""

import os
import socket
import sys
import time

#: Services that may run in one container; each has a health port.
SERVICES = 5
TIMEOUT_S = 8.0
#: Bytes of a response that are read and printed.
RESPONSE_BYTES = 2000
#: Seconds for which others are awaited, and between two attempts to connect.
AWAIT_S, PAUSE_S = 300.0, 0.2
REQUEST = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 healthy, 1 not."""
    try:
        if arguments[:1] == ["--await"]:
            for address in arguments[1:]:
                await_listening(address)
            return 0
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


def await_listening(address: str) -> None:
    """Return once HOST:PORT takes connections.

    Raises:
        OSError: it does not in time.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + AWAIT_S
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=TIMEOUT_S).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise OSError(f"{address}: {error}") from error
            time.sleep(PAUSE_S)
        else:
            return


def connected(port: int) -> socket.socket:
    """Return a connection to a port of this container."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    connection.settimeout(TIMEOUT_S)
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
