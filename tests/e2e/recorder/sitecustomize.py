"""Put on PYTHONPATH, this lets a Python process write down every TCP port that it connects to."""

import os
import sys


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        with open(os.environ["RECORDED_PORTS"], "a", encoding="ascii") as ports:  # noqa: PTH123 - kept light
            ports.write(f"{arguments[1][1]}\n")


sys.addaudithook(_record)
