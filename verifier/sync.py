"""Fetching the lists from the city's service into the trust folder, where checks find them without network.

Whatever comes over the network is put aside first and checked with the folder's root and memory as a check would do
it; only a set that holds together replaces the old one, the index last. A file that is the server's already is not
sent again (RFC 9110, If-None-Match). No redirect is followed, and nothing is read beyond the size a list can have.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from keys.bundle import MAX_BYTES as BUNDLE_MAX_BYTES
from keys.errors import Refusal
from passes import list_index, plate_list, status_list
from verifier.state import State, locked
from verifier.trust import Trust, load_trust

MEMORY: Final = ".sync.json"
_LONGEST_ROOT: Final = 10_000
_LONGEST_MEMORY: Final = 4 * 1024 * 1024
_LONGEST_TOKEN: Final = 200
_LONGEST_TAG: Final = 200
_SECONDS: Final = 20.0
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_STATUS_FILE = re.compile(r"[0-9]{1,10}\.cwt")
_INDEX: Final = "index.cwt"
_PLATES: Final = "plates.cwt"


class SyncRefused(Refusal):
    """The lists cannot be fetched, or are not to be trusted; the folder is as it was unless the code says more."""

    package = "verifier"


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of a run; ``enrolled`` is False where the plate list was asked for and refused."""

    fetched: int
    unchanged: int
    enrolled: bool = True


@dataclass(slots=True)
class _Run:
    base: str
    folder: Path
    aside: Path
    opener: OpenerDirector
    token: str | None
    memory: dict[str, list[str]]
    fetched: list[str] = field(default_factory=list)
    unchanged: int = 0

    def bring(self, name: str, path: str, longest: int, *, token: str | None = None) -> None:
        """Have the server's ``name`` in ``aside``, from ``folder`` if it is the same there."""
        headers = {"Accept-Encoding": "identity"}
        known, mine = self.memory.get(name), _content(self.folder / name, longest)
        if known is not None and mine is not None and hashlib.sha256(mine).hexdigest() == known[1]:
            headers["If-None-Match"] = known[0]
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            with self.opener.open(Request(self.base + path, headers=headers), timeout=_SECONDS) as answer:  # noqa: S310
                data = answer.read(longest + 1)
                tag = answer.headers.get("ETag", "")
        except HTTPError as fault:
            fault.close()
            if fault.code == 304 and "If-None-Match" in headers and mine is not None:
                self._put(name, mine)
                self.unchanged += 1
                return
            raise SyncRefused("SYNC_ANSWER", path=path, status=fault.code) from None
        except (OSError, HTTPException) as fault:
            raise SyncRefused("SYNC_NO_ANSWER", address=self.base, fault=type(fault).__name__) from None
        if len(data) > longest:
            raise SyncRefused("SYNC_ANSWER", path=path, status="> " + str(longest))
        self._put(name, data)
        self.fetched.append(name)
        self.memory.pop(name, None)
        if tag and len(tag) <= _LONGEST_TAG and tag.isprintable():
            self.memory[name] = [tag, hashlib.sha256(data).hexdigest()]

    def _put(self, name: str, data: bytes) -> None:
        file = self.aside / name
        file.parent.mkdir(exist_ok=True)
        with file.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        file.chmod(0o600 if name == _PLATES else 0o644)


def sync(address: str, folder: Path, state: State, root_file: Path | None, token: str | None) -> Synced:
    """Bring ``folder`` up to date from the service at ``address``; with ``token`` the plate list as well.

    ``state`` is the verifier's memory: it takes up what was accepted, for the caller to save. Without ``root_file``
    and a root in ``state``, the folder's ``root.pub`` counts, else the service's (and is kept).

    Raises SyncRefused SYNC_ADDRESS, SYNC_NO_ANSWER, SYNC_ANSWER, SYNC_UNTRUSTED; KeyRefusal ROOT_FILE; OSError.
    """
    base = _checked_address(address)
    (folder / "status").mkdir(parents=True, exist_ok=True)
    with locked(folder / "status"), _aside(folder) as aside:
        memory = _read_memory(folder / MEMORY)
        run = _Run(base, folder, aside, build_opener(_NoRedirect), token, memory)
        enrolled = _bring_all(run, state, root_file)
        checked = copy.deepcopy(state)
        trust = load_trust(aside, checked, root_file)
        if not _holds_together(trust, plates=token is not None and enrolled):
            raise SyncRefused("SYNC_UNTRUSTED", address=base)
        numbers = set(trust.index.lists) if trust.index is not None else set()
        _replace(run, numbers)
        # Only now: a set that was refused must not raise the bar for the next one.
        state.root_spki, state.sequences = checked.root_spki, checked.sequences
        state.newest_issued_at, state.changed = checked.newest_issued_at, True
    return Synced(len(run.fetched), run.unchanged, enrolled)


def read_token(file: Path) -> str:
    """The device's token: the first line of ``file``. Raises SyncRefused SYNC_TOKEN, OSError."""
    with file.open("rb") as opened:
        line = opened.read(_LONGEST_TOKEN + 2).split(b"\n", 1)[0].decode("ascii", "replace").strip()
    if len(line) > _LONGEST_TOKEN or _TOKEN.fullmatch(line) is None:
        raise SyncRefused("SYNC_TOKEN", file=file)
    return line


class _NoRedirect(HTTPRedirectHandler):
    """A list lies where it was asked for; elsewhere the token would go to a stranger."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Follow nothing."""
        del req, fp, code, msg, headers, newurl
        return None


def _checked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SyncRefused("SYNC_ADDRESS", address=address[:200]) from None
    plain = parts.scheme == "http" and host in _LOCAL
    if (
        not host
        or not (parts.scheme == "https" or plain)
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise SyncRefused("SYNC_ADDRESS", address=address[:200])
    return address.rstrip("/")


def _bring_all(run: _Run, state: State, root_file: Path | None) -> bool:
    """Fetch the bundle, the index, the lists it names and the plate list; says whether that was given out.

    The index comes before the lists: one that is newer than its index says is taken, an older one is not.
    """
    if root_file is None and state.root_spki is None:
        known = _content(run.folder / "root.pub", _LONGEST_ROOT)
        if known is None:
            run.bring("root.pub", "/lists/root.pub", _LONGEST_ROOT)
        else:
            (run.aside / "root.pub").write_bytes(known)
    run.bring("bundle.cwt", "/lists/bundle.cwt", BUNDLE_MAX_BYTES)
    run.bring(_INDEX, "/lists/index.cwt", list_index.MAX_BYTES)
    index = load_trust(run.aside, copy.deepcopy(state), root_file).index
    if index is None:
        raise SyncRefused("SYNC_UNTRUSTED", address=run.base)
    for number in index.lists:
        run.bring(f"status/{number}.cwt", f"/status/{number}", status_list.MAX_BYTES)
    if run.token is None:
        return True
    try:
        run.bring(_PLATES, "/lists/plates.cwt", plate_list.MAX_BYTES, token=run.token)
    except SyncRefused as refused:
        if refused.params.get("status") == 401:
            return False
        raise
    return True


def _holds_together(trust: Trust, *, plates: bool) -> bool:
    if trust.bundle is None or trust.index is None:
        return False
    if any(trust.status_list(number) is None for number in trust.index.lists):
        return False
    return not plates or trust.plate_list() is not None


def _replace(run: _Run, numbers: set[int]) -> None:
    """Put what was fetched in its place: the index after the lists that it names."""
    for name in sorted(run.fetched, key=lambda one: (one == _INDEX, one)):
        (run.aside / name).replace(run.folder / name)
    for file in (run.folder / "status").iterdir():
        if _STATUS_FILE.fullmatch(file.name) and int(file.stem) not in numbers:
            file.unlink(missing_ok=True)
            run.memory.pop(f"status/{file.name}", None)
    written = run.aside / MEMORY
    written.write_text(json.dumps(run.memory), encoding="ascii")
    written.replace(run.folder / MEMORY)


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder of our own inside ``folder``, so that moving a file is one step; the last run's is taken away."""
    for left in folder.glob(".sync-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".sync-", dir=folder) as made:
        yield Path(made)


def _content(file: Path, longest: int) -> bytes | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(longest + 1)
    except OSError:
        return None
    return data if len(data) <= longest else None


def _read_memory(file: Path) -> dict[str, list[str]]:
    """The ETags of the last run with the hash of what came with them; whatever is amiss, everything is fetched."""
    data = _content(file, _LONGEST_MEMORY)
    try:
        raw = json.loads(data or b"{}")
        return {
            str(name): [str(tag), str(digest)]
            for name, (tag, digest) in raw.items()
            if str(tag).isprintable() and len(str(tag)) <= _LONGEST_TAG
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
