"""A small local server that sends the verifier's files under the strict policy of the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WEB = Path(__file__).parents[3] / "verifier" / "web"
PAGE = (
    b"<!doctype html><title>scan</title><video id=video></video><button id=button>x</button><input id=plate>"
)


def policy(wasm: bool) -> str:
    webassembly = " 'wasm-unsafe-eval'" if wasm else ""
    return (
        f"default-src 'none'; script-src 'self'{webassembly}; worker-src 'self'; "
        "style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: mediastream:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types stadtpass"
    )


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", "": "application/octet-stream"}  # noqa: RUF012

    def __init__(self, *arguments: object, wasm: bool) -> None:
        self.wasm = wasm
        super().__init__(*arguments, directory=str(WEB))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path != "/test.html":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", policy(self.wasm))
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(*, wasm: bool = True) -> Iterator[str]:
    """The address of a page under the policy; without ``wasm``, WebAssembly is refused."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, wasm=wasm))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/test.html"
    finally:
        server.shutdown()
        server.server_close()
