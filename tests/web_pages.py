"""The verifier web app on a local address, under the policy that the service sends, for tests in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, BrowserType, sync_playwright

WEB = Path(__file__).parent.parent / "verifier" / "web"
# The engine alone, where it is there: of a new page of the whole browser, two thirds of the time go into a window
# that nobody sees.
WHOLE_CHROMIUM = Path("/usr/bin/chromium")
_ENGINE = Path("/usr/bin/chromium-headless-shell")
CHROMIUM = _ENGINE if _ENGINE.is_file() else WHOLE_CHROMIUM
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.is_file(), reason="needs chromium (apt install chromium-headless-shell)"
)
needs_whole_chromium = pytest.mark.skipif(
    not WHOLE_CHROMIUM.is_file(), reason="needs the whole browser (apt install chromium)"
)
POLICY = (
    "default-src 'none'; script-src 'self'{webassembly}; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob: mediastream:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types stadtpass"
)
EMPTY = b"<!doctype html><title>Test</title>"


class _Handler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".webmanifest": "application/manifest+json",
    }

    def __init__(self, *arguments: object, directory: str, policy: str, more: Mapping[str, bytes]) -> None:
        self.policy, self.more = policy, more
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        body = self.more.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(self.path))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_arguments: object) -> None:
        return


@contextmanager
def served(
    folder: Path = WEB, *, webassembly: bool = True, more: Mapping[str, bytes] | None = None
) -> Iterator[str]:
    """The address of ``folder``; ``empty.html`` there is a page with nothing on it.

    ``webassembly``: whether the policy allows it. ``more``: further files by path, which begins with ``/``.
    """
    handler = partial(
        _Handler,
        directory=str(folder),
        policy=POLICY.format(webassembly=" 'wasm-unsafe-eval'" if webassembly else ""),
        more={"/empty.html": EMPTY, **(more or {})},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """`launched` with a Playwright of its own."""
    with sync_playwright() as playwright, launched(playwright.chromium, *arguments) as made:
        yield made


@contextmanager
def launched(kind: BrowserType, *arguments: str, program: Path = CHROMIUM) -> Iterator[Browser]:
    """Debian's Chromium (``program``), without a window, with its own ``arguments``."""
    usual = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
    made = kind.launch(executable_path=str(program), args=[*usual, *arguments])
    yield made
    made.close()
