"""Asks a URL at a steady rate, each time over a new connection, and prints `start end status` of every request.

Times are of the monotonic clock, in seconds, which all processes of a machine share; status 0 is no answer in time.
usage: probe.py HOST PORT PATH RATE SECONDS TIMEOUT [FILE]    FILE: its bytes are sent by POST
"""

import asyncio
import sys
import time

HOST, PORT, PATH = sys.argv[1], int(sys.argv[2]), sys.argv[3]
RATE, SECONDS, TIMEOUT = map(float, sys.argv[4:7])
BODY = open(sys.argv[7], "rb").read() if len(sys.argv) > 7 else b""
HEAD = f"{'POST' if BODY else 'GET'} {PATH} HTTP/1.1\r\nHost: veil\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n\r\n"


async def ask() -> int:
    reader, writer = await asyncio.open_connection(HOST, PORT)
    try:
        writer.write(HEAD.encode() + BODY)
        answer = await reader.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:") and int(line[15:]) != len(body):
                return 0
        return int(head.split(b" ", 2)[1]) if head else 0
    finally:
        writer.close()


async def timed() -> None:
    start = time.monotonic()
    try:
        status = await asyncio.wait_for(ask(), TIMEOUT)
    except (OSError, asyncio.TimeoutError, ValueError, IndexError):
        status = 0
    print(f"{start:.4f} {time.monotonic():.4f} {status}", flush=True)


async def main() -> None:
    begin, tasks = time.monotonic(), []
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        tasks.append(asyncio.create_task(timed()))
    await asyncio.gather(*tasks)


asyncio.run(main())
