"""What a verifier trusts: the pinned root, the bundle it signed, and the lists that the bundle's keys signed.

Loading never fails because of a bad file: what is missing, damaged, wrongly signed or rolled back is
absent, and the verdicts say what that means.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from keys.bundle import MAX_BYTES as BUNDLE_MAX_BYTES
from keys.bundle import Bundle, BundleKey, read_bundle, root_from_pem
from keys.errors import Refusal
from keys.identity import public_key_from_spki, spki_der
from keys.signed_list import UnverifiedList
from passes import list_index, plate_list, status_list
from passes.list_index import ListIndex
from passes.plate_list import PlateList
from passes.status_list import StatusList
from verifier.state import State


@dataclass(slots=True)
class Trust:
    """The trust of one folder, checked; ``bundle`` is None where there is nothing to build on."""

    folder: Path
    state: State
    bundle: Bundle | None = None
    index: ListIndex | None = None
    _status_lists: dict[int, StatusList | None] = field(default_factory=dict)
    _plates: PlateList | None = None
    _plates_loaded: bool = False

    @property
    def test(self) -> bool:
        """Whether everything here is a test: the root itself is a demo root."""
        return self.bundle is not None and self.bundle.test

    def newest_time(self) -> int:
        """The newest signed time known (seconds): no honest clock can be behind it."""
        times = [self.state.newest_time]
        if self.bundle is not None:
            times.append(self.bundle.frame.issued_at)
        if self.index is not None:
            times.append(self.index.frame.issued_at)
        return max(times)

    def key(self, kid: bytes) -> BundleKey | None:
        """The seal key with this id, or None."""
        key = None if self.bundle is None else self.bundle.keys.get(kid)
        return key if key is not None and key.purpose == "seal" else None

    def list_key(self, signed: UnverifiedList) -> ec.EllipticCurvePublicKey | None:
        """The list key that ``signed`` names, if it counts for a list of that time, or None."""
        key = None if self.bundle is None else self.bundle.keys.get(signed.message.kid)
        if key is None or key.purpose != "list" or key.state == "revoked":
            return None
        if not key.not_before <= signed.frame.issued_at < key.not_after:
            return None
        if key.test and not self.test:
            return None
        return key.public_key

    def status_list(self, number: int) -> StatusList | None:
        """The status list with this number, if it is here, genuine and no roll-back."""
        if number not in self._status_lists:
            found = None
            with suppress(Refusal, OSError):
                found = self._load_status_list(number)
            self._status_lists[number] = found
        return self._status_lists[number]

    def plate_list(self) -> PlateList | None:
        """The plate list, if it is here, genuine and no roll-back."""
        if not self._plates_loaded:
            self._plates_loaded = True
            with suppress(Refusal, OSError):
                self._plates = self._load_plate_list()
        return self._plates

    def _load_status_list(self, number: int) -> StatusList | None:
        entry = None if self.index is None else self.index.lists.get(number)
        if entry is None:
            return None
        data = _read(self.folder / "status" / f"{number}.cwt", status_list.MAX_BYTES)
        unverified = status_list.read_status_list(data)
        key = self.list_key(unverified)
        if key is None or unverified.frame.subject != entry.uri:
            return None
        loaded = status_list.verified_status_list(unverified, key)
        # The index pins the list for a device that has seen none yet; a newer list may replace it.
        if list_index.digest(data) != entry.sha256 and loaded.frame.sequence <= entry.sequence:
            return None
        return loaded if self._accept(f"status/{number}", unverified) else None

    def _load_plate_list(self) -> PlateList | None:
        unverified = plate_list.read_plate_list(_read(self.folder / "plates.cwt", plate_list.MAX_BYTES))
        key = self.list_key(unverified)
        if key is None:
            return None
        loaded = plate_list.verified_plate_list(unverified, key)
        return loaded if self._accept("plates", unverified) else None

    def _load_index(self) -> ListIndex | None:
        unverified = list_index.read_index(_read(self.folder / "index.cwt", list_index.MAX_BYTES))
        key = self.list_key(unverified)
        if key is None:
            return None
        loaded = list_index.verified_index(unverified, key)
        return loaded if self._accept("index", unverified) else None

    def _accept(self, name: str, genuine: UnverifiedList) -> bool:
        return self.state.accept(name, genuine.frame.sequence, genuine.frame.issued_at)


def load_trust(folder: Path, state: State, root_file: Path | None = None) -> Trust:
    """Load what ``folder`` holds under the root of ``root_file``, else the root seen first.

    The root seen first is kept in ``state``, as are sequences. Raises KeyRefusal ROOT_FILE or OSError
    for a ``root_file`` that was named but cannot be read; anything else that is amiss is just absent.
    """
    trust = Trust(folder, state)
    root = _root(folder, state, root_file)
    if root is None:
        return trust
    try:
        bundle, signer = read_bundle(_read(folder / "bundle.cwt", BUNDLE_MAX_BYTES), root)
    except (Refusal, OSError):
        return trust
    if not state.accept("bundle", bundle.frame.sequence, bundle.frame.issued_at):
        return trust
    trust.bundle = bundle
    if root_file is None and state.root_spki != spki_der(signer):
        state.root_spki = spki_der(signer)
        state.changed = True
    with suppress(Refusal, OSError):
        trust.index = trust._load_index()
    return trust


def _root(folder: Path, state: State, root_file: Path | None) -> ec.EllipticCurvePublicKey | None:
    if root_file is not None:
        return root_from_pem(_read(root_file, 20_000))
    if state.root_spki is not None:
        with suppress(Refusal, ValueError):
            key = public_key_from_spki(state.root_spki)
            return key if isinstance(key, ec.EllipticCurvePublicKey) else None
        return None
    with suppress(Refusal, OSError):
        return root_from_pem(_read(folder / "root.pub", 20_000))
    return None


def _read(path: Path, longest: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(longest + 1)
    if len(data) > longest:
        raise OSError(f"{path.name} is larger than {longest} bytes")
    return data
