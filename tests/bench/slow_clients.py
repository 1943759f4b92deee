"""Clients that are slow, or far away, for `proxy`: how they fare, and what the others notice."""

import asyncio
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from measure import free_port

LARGE = 8 << 20
UPLOAD = 10 << 20
ONE_WAY = 0.05


class Backend:
    """Answers /large with 8 MB, anything else with a word once it has read the body; remembers how long a large one took."""

    def __init__(self):
        self.taken = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = bytes(LARGE) if self.path == "/large" else b"ok"
                began = time.monotonic()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if len(body) == LARGE:
                    backend.taken.append(time.monotonic() - began)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    def direct(self):
        """Seconds that the backend needs for a large answer to a client that takes all of it at once."""
        self.taken.clear()
        with ask(self.server.server_port, "/large") as client:
            while client.recv(1 << 20):
                pass
        return self.taken.pop()


def ask(port, path, buffer=None):
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    return client


def slow_reader(backend, port, others=10):
    """One client takes 1 KiB a second of 8 MB from a backend of one place: how many of the others that come meanwhile are
    served, and how long the place was taken, in seconds; none where it still is."""
    backend.taken.clear()
    served = 0
    with ask(port, "/large", buffer=4096) as slow:
        slow.recv(1024)
        for _ in range(others):
            time.sleep(1)
            slow.recv(1024)
            with ask(port, "/small") as other:
                served += b" 200 " in other.recv(4096).split(b"\r\n")[0]
    return served, backend.taken.pop() if backend.taken else None


class Distance:
    """A line to a port with 50 ms each way."""

    def __init__(self, port):
        self.port, self.listen = port, free_port()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run(ready)), daemon=True).start()
        ready.wait()

    async def run(self, ready):
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.listen)
        ready.set()
        await server.serve_forever()

    async def serve(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)
        writer.close()
        far_writer.close()


async def pump(reader, writer):
    line = asyncio.Queue()

    async def arrive():
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0, due - time.monotonic()))
            if not data:
                return writer.write_eof()
            writer.write(data)
            await writer.drain()

    arriving = asyncio.create_task(arrive())
    while data := await reader.read(65536):
        line.put_nowait((time.monotonic() + ONE_WAY, data))
    line.put_nowait((time.monotonic() + ONE_WAY, b""))
    await arriving


def distant_upload(port, body):
    """Seconds that 10 MB over HTTP/2 take at a round trip of 100 ms."""
    command = ["curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "--http2-prior-knowledge",
               "--data-binary", f"@{body}", "-H", "Expect:", f"http://127.0.0.1:{Distance(port).listen}/"]
    status, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if status != "200":
        raise SystemExit(f"an upload over HTTP/2 was answered with {status}")
    return float(seconds)
