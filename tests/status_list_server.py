"""A stand-in for somebody else's status lists: over TLS on this machine, with faults on demand."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.issuer.webhook_receiver import tls_files

JWT = "application/statuslist+jwt"


@dataclass
class ListServer:
    """What is served at `uri`, and how: ``asked`` are the Accept headers of those who came."""

    port: int
    ca_file: Path
    body: bytes = b""
    kind: str = JWT
    status: int = 200
    pause: float = 0.0
    flood: bool = False
    encoding: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def uri(self) -> str:
        return f"https://{self.host}/lists/1"


@contextmanager
def list_server(folder: Path) -> Iterator[ListServer]:
    certificate, key = tls_files(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.headers["accept"])
            time.sleep(made.pause)
            self.send_response(made.status)
            self.send_header("content-type", made.kind)
            if made.encoding:
                self.send_header("content-encoding", made.encoding)
            if made.status == 302:
                self.send_header("location", made.uri + "0")
            self.end_headers()
            try:
                self.wfile.write(made.body)
                while made.flood:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = ListServer(server.server_address[1], folder / "ca.pem")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
