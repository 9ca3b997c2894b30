"""A stand-in for a phone: it keeps passes, registers them, and fetches what has changed, as iOS does.

It is as strict as iOS and says so: whatever the service answers that Apple's protocol does not allow is a
`ProtocolFault`. Passes are checked with the real `openssl`. Requests for the pass's https address go to a test
client, which takes the place of the reverse proxy.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

_HTTP_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)


class ProtocolFault(AssertionError):
    """Something that a real phone would not accept."""


class Web(Protocol):
    """`httpx.Client`, or Litestar's `TestClient`."""

    def request(self, method: str, url: str, **options: Any) -> httpx.Response: ...


@dataclass
class HeldPass:
    """A pass on the phone, and the Last-Modified it came with."""

    data: dict[str, Any]
    archive: bytes
    modified: str = ""

    @property
    def serial(self) -> str:
        return str(self.data["serialNumber"])

    @property
    def voided(self) -> bool:
        return bool(self.data.get("voided", False))


@dataclass
class Phone:
    """A phone that trusts ``root`` (PEM) as iOS trusts Apple's; ``web`` serves every https address."""

    web: Web
    root: bytes
    device_id: str = field(default_factory=lambda: secrets.token_hex(16))
    push_token: str = field(default_factory=lambda: secrets.token_hex(32))
    passes: dict[tuple[str, str], HeldPass] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    # (method, path, status) of every request, oldest first.
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def add(self, archive: bytes, modified: str = "") -> int:
        """Put a pass into the wallet and register it; the status of the registration."""
        held = HeldPass(self.read(archive), archive, modified)
        self.passes[held.data["passTypeIdentifier"], held.serial] = held
        return self.register(held.serial)

    def get(self, serial: str) -> HeldPass:
        return next(one for one in self.passes.values() if one.serial == serial)

    def register(self, serial: str) -> int:
        held = self.get(serial)
        answer = self._ask(
            "POST",
            self._registration(held),
            headers=self._credentials(held),
            content=json.dumps({"pushToken": self.push_token}).encode(),
        )
        _expect(answer, 200, 201, 401)
        if answer.status_code != 401:
            _empty(answer)
        return answer.status_code

    def remove(self, serial: str) -> int:
        """Delete a pass, as its holder does."""
        held = self.get(serial)
        answer = self._ask("DELETE", self._registration(held), headers=self._credentials(held))
        _expect(answer, 200, 401)
        del self.passes[held.data["passTypeIdentifier"], serial]
        return answer.status_code

    def on_push(self) -> list[str]:
        """A push has come: ask what is new, fetch it, and return the serials that were fetched anew."""
        fetched: list[str] = []
        services = {
            (str(one.data["webServiceURL"]), kind)
            for (kind, _), one in self.passes.items()
            if "webServiceURL" in one.data
        }
        for service, kind in sorted(services):
            for serial in self._changed(service, kind):
                if (kind, serial) not in self.passes:
                    raise ProtocolFault(f"{serial} was never registered here")
                if self.fetch(serial):
                    fetched.append(serial)
        return fetched

    def fetch(self, serial: str) -> bool:
        """Get the newest version of a pass; whether there was one."""
        held = self.get(serial)
        headers = self._credentials(held)
        if held.modified:
            headers["if-modified-since"] = held.modified
        kind = held.data["passTypeIdentifier"]
        answer = self._ask("GET", f"{held.data['webServiceURL']}/v1/passes/{kind}/{serial}", headers=headers)
        _expect(answer, 200, 304, 401)
        if answer.status_code == 401:
            return False
        if answer.status_code == 304:
            if not held.modified:
                raise ProtocolFault("304 without If-Modified-Since")
            _empty(answer)
            return False
        if answer.headers.get("content-type") != "application/vnd.apple.pkpass":
            raise ProtocolFault(f"content type {answer.headers.get('content-type')}")
        modified = answer.headers.get("last-modified", "")
        if _HTTP_DATE.fullmatch(modified) is None:
            raise ProtocolFault(f"Last-Modified {modified!r}")
        if format_datetime(parsedate_to_datetime(modified), usegmt=True) != modified:
            raise ProtocolFault(f"Last-Modified {modified!r} names another weekday")
        data = self.read(answer.content)
        for name in ("serialNumber", "passTypeIdentifier", "authenticationToken", "webServiceURL"):
            if data.get(name) != held.data.get(name):
                raise ProtocolFault(f"{name} of an installed pass has changed")
        self.passes[kind, serial] = HeldPass(data, answer.content, modified)
        return True

    def complain(self, *lines: str) -> int:
        """Send lines to the log endpoint of the first pass."""
        service = next(iter(self.passes.values())).data["webServiceURL"]
        answer = self._ask("POST", f"{service}/v1/log", content=json.dumps({"logs": lines}).encode())
        _expect(answer, 200)
        return answer.status_code

    def read(self, archive: bytes) -> dict[str, Any]:
        """The pass.json of ``archive``, if a phone would open it."""
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = {name: opened.read(name) for name in opened.namelist()}
        manifest, signature = files.pop("manifest.json"), files.pop("signature")
        # Apple's manifests hold SHA-1, and nothing else is accepted.
        found = {name: hashlib.sha1(content).hexdigest() for name, content in files.items()}
        if json.loads(manifest) != found:
            raise ProtocolFault("the manifest does not fit the files")
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for name, content in (("manifest", manifest), ("signature", signature), ("root.pem", self.root)):
                (place / name).write_bytes(content)
            command = ["openssl", "smime", "-verify", "-inform", "DER", "-binary", "-no_check_time"]
            command += [
                "-in",
                "signature",
                "-content",
                "manifest",
                "-CAfile",
                "root.pem",
                "-out",
                "/dev/null",
            ]
            checked = subprocess.run(command, cwd=place, capture_output=True, check=False)
        if checked.returncode != 0:
            raise ProtocolFault(f"the signature does not hold: {checked.stderr.decode()[-200:]}")
        data: dict[str, Any] = json.loads(files["pass.json"])
        if "webServiceURL" in data:
            url = str(data["webServiceURL"])
            if not url.startswith("https://") or url.rstrip("/").endswith("/v1"):
                raise ProtocolFault(f"web service at {url}")
            if len(data.get("authenticationToken", "")) < 16:
                raise ProtocolFault("authentication token")
        return data

    def _changed(self, service: str, kind: str) -> Iterator[str]:
        path = f"{service}/v1/devices/{self.device_id}/registrations/{kind}"
        tag = self.tags.get((service, kind))
        if tag is not None:
            path += f"?passesUpdatedSince={quote(tag)}"
        answer = self._ask("GET", path)
        _expect(answer, 200, 204)
        if answer.status_code == 204:
            _empty(answer)
            return
        told = answer.json()
        if not isinstance(told.get("lastUpdated"), str):
            raise ProtocolFault("lastUpdated is no string")
        serials = told.get("serialNumbers")
        if not isinstance(serials, list) or not serials or len(set(serials)) != len(serials):
            raise ProtocolFault(f"serialNumbers {serials!r}")
        yield from serials
        self.tags[service, kind] = told["lastUpdated"]

    def _registration(self, held: HeldPass) -> str:
        kind = held.data["passTypeIdentifier"]
        return f"{held.data['webServiceURL']}/v1/devices/{self.device_id}/registrations/{kind}/{held.serial}"

    def _credentials(self, held: HeldPass) -> dict[str, str]:
        return {"authorization": f"ApplePass {held.data['authenticationToken']}"}

    def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask as through a reverse proxy, which ends TLS and passes on the host."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"host": parts.netloc, "x-forwarded-proto": "https", **options.pop("headers", {})}
        answer = self.web.request(method, path, headers=headers, **options)
        self.asked.append((method, path, answer.status_code))
        return answer


def _expect(answer: httpx.Response, *statuses: int) -> None:
    if answer.status_code not in statuses:
        raise ProtocolFault(f"status {answer.status_code}")


def _empty(answer: httpx.Response) -> None:
    if answer.content:
        raise ProtocolFault(f"a body of {len(answer.content)} bytes")
