"""From the content of a revision to the files of its carriers: what `issue`, `change` and `reissue` write.

A maker is prepared once per pass type and process: keys are loaded, certificates checked and templates
made before the first pass, so that a pass costs little more than its signatures.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from pathlib import Path

import msgspec

from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.prints import Sealing
from keys.apple_certificates import AppleSigningIdentity
from keys.errors import Refusal
from keys.store import Signer
from passes.apple import ApplePassFactory
from passes.errors import PassRefusal
from passes.google import GooglePassFactory
from passes.google_link import skinny_link
from passes.model import City, PassContent, PassStatus
from passes.pass_types import PassType
from passes.pdf import PdfFactory
from passes.qr import qr_png
from passes.rotating import pass_key
from passes.seal import read_seal


class Carrier(StrEnum):
    """What can be made of a revision; the seal is text and QR picture."""

    APPLE = "apple"
    GOOGLE = "google"
    PDF = "pdf"
    SEAL = "seal"


ALL_CARRIERS = tuple(Carrier)
_SUFFIXES = {
    Carrier.APPLE: (".pkpass",),
    Carrier.GOOGLE: (".google.json", ".save-link.txt"),
    Carrier.PDF: (".pdf",),
    Carrier.SEAL: (".seal.txt", ".png"),
}


def parse_carriers(text: str) -> tuple[Carrier, ...]:
    """Carriers from ``apple,google,...``. Raises IssuerRefusal CARRIER_UNKNOWN."""
    try:
        wanted = {Carrier(one.strip()) for one in text.split(",") if one.strip()}
    except ValueError:
        wanted = set()
    if not wanted:
        raise IssuerRefusal("CARRIER_UNKNOWN", carriers=text, known=", ".join(ALL_CARRIERS))
    return tuple(one for one in ALL_CARRIERS if one in wanted)


def carriers_of(status: PassStatus, wanted: Iterable[Carrier]) -> tuple[Carrier, ...]:
    """Of the carriers ``wanted``, those that a pass of this status gets.

    A pass that ran out or was withdrawn keeps its seal, so that an old print still gets an answer; one that
    has not been paid for gets nothing.
    """
    if status is PassStatus.ACTIVE:
        return tuple(wanted)
    if status is PassStatus.PENDING_PAYMENT:
        return ()
    return tuple(one for one in wanted if one is Carrier.SEAL)


def files_of(number: str, carrier: Carrier) -> tuple[str, ...]:
    """The names of the files that a carrier consists of."""
    return tuple(number + suffix for suffix in _SUFFIXES[carrier])


Job = tuple[PassContent, tuple[Carrier, ...]]


class Found(Enum):
    """What an output folder holds of a pass, going by the text of the seal there."""

    NOTHING = auto()
    THIS_REVISION = auto()
    ANOTHER_REVISION = auto()
    ANOTHER_TYPE = auto()


def found_in(pass_type: PassType, content: PassContent, out: Path, present: Collection[str]) -> Found:
    """What ``out`` holds under the number of ``content``; ``present`` are its files that are not empty."""
    name = files_of(content.number, Carrier.SEAL)[0]
    if name not in present:
        return Found.NOTHING
    text = (out / name).read_text("utf-8", errors="replace").strip()
    if text == content.seal:
        return Found.THIS_REVISION
    with suppress(PassRefusal):
        if read_seal(text).content.type_code != pass_type.seal_code:
            return Found.ANOTHER_TYPE
    return Found.ANOTHER_REVISION


def carriers_due(
    pass_type: PassType, content: PassContent, wanted: Iterable[Carrier], out: Path, present: Collection[str]
) -> tuple[Carrier, ...]:
    """Of the carriers ``wanted``, those that ``out`` lacks or has of something else; see `found_in`."""
    carriers = carriers_of(content.status, wanted)
    if found_in(pass_type, content, out, present) in (Found.ANOTHER_REVISION, Found.ANOTHER_TYPE):
        return carriers
    return tuple(
        one for one in carriers if not all(file in present for file in files_of(content.number, one))
    )


def files_in(out: Path) -> set[str]:
    """The names of the files in ``out``; one that a power cut has emptied is not there."""
    with os.scandir(out) as entries:
        return {entry.name for entry in entries if entry.stat().st_size}


@dataclass(frozen=True, slots=True)
class Made:
    """One carrier of one pass that was written, or the refusal that kept it from being made."""

    number: str
    carrier: Carrier
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class CarrierKeys:
    """What signs the carriers; None where the city has no account with Apple or Google.

    ``pdf`` is how certificates leave, None where none are made.
    """

    apple: AppleSigningIdentity | None
    google: Signer | None
    epoch_key: bytes | None
    pdf: Sealing | None = None


class CarrierMaker:
    """Makes the files of one pass type's carriers for one city.

    Raises IssuerRefusal NO_SIGNING_KEY for a carrier whose key is missing, KeyRefusal for an Apple
    certificate that does not fit the city or has expired at ``at``, and PassRefusal as the carriers do.
    """

    def __init__(
        self, pass_type: PassType, city: City, keys: CarrierKeys, carriers: Iterable[Carrier], at: datetime
    ) -> None:
        wanted = set(carriers)
        self._pass_type = pass_type
        self._city = city
        self._keys = keys
        self._at = at
        self._apple: ApplePassFactory | None = None
        self._google: GooglePassFactory | None = None
        self._pdf: PdfFactory | None = None
        if Carrier.APPLE in wanted:
            if keys.apple is None:
                raise IssuerRefusal("NO_SIGNING_KEY", purpose="apple-pass")
            keys.apple.check(city.apple_pass_type_identifier, city.apple_team_identifier, at)
            self._apple = ApplePassFactory(
                pass_type, city, keys.apple.certificate, keys.apple.chain, keys.apple.signer
            )
        if Carrier.GOOGLE in wanted:
            if keys.google is None:
                raise IssuerRefusal("NO_SIGNING_KEY", purpose="google")
            self._google = GooglePassFactory(pass_type, city)
        if Carrier.PDF in wanted:
            _ = pass_type.pdf  # refuses a type that is never printed before anything is made
            self._pdf = PdfFactory()

    @property
    def leaves_unsealed(self) -> bool:
        """Whether it makes certificates as PDF without an electronic seal, because the city has no key for that."""
        if self._pdf is None or not self._pass_type.pdf.is_sealed:
            return False
        return self._keys.pdf is None or self._keys.pdf.identity is None

    def write(self, content: PassContent, carriers: Iterable[Carrier], out: Path) -> None:
        """Write the files of ``carriers`` for one revision into ``out``, each in one step.

        Raises PassRefusal for a carrier that cannot be made; those before it are written then.
        """
        for made in self.write_all([(content, tuple(carriers))], out, sync=True):
            if made.refusal is not None:
                raise made.refusal

    def write_all(self, jobs: Sequence[Job], out: Path, *, sync: bool = False) -> Iterator[Made]:
        """Write the carriers of many revisions; one that cannot be made is reported and stops no other.

        Without ``sync`` the files are whole at any time, but a power cut may lose the newest.
        """
        for carrier in ALL_CARRIERS:
            contents = [content for content, carriers in jobs if carrier in carriers]
            for content, made in self._make_all(contents, carrier):
                if isinstance(made, Refusal):
                    yield Made(content.number, carrier, made)
                    continue
                for name, data in zip(files_of(content.number, carrier), made, strict=True):
                    write_atomically(out / name, data, mode=0o600, sync=sync)
                yield Made(content.number, carrier)

    def _make_all(
        self, contents: Sequence[PassContent], carrier: Carrier
    ) -> Iterator[tuple[PassContent, tuple[bytes, ...] | Refusal]]:
        if carrier is Carrier.APPLE:
            yield from self._apple_passes(contents)
            return
        for content in contents:
            try:
                yield content, self._make(content, carrier)
            except Refusal as refusal:
                yield content, refusal

    def _apple_passes(
        self, contents: Sequence[PassContent]
    ) -> Iterator[tuple[PassContent, tuple[bytes, ...] | Refusal]]:
        assert self._apple is not None or not contents
        waiting = deque(contents)
        while waiting and self._apple is not None:
            try:
                for data in self._apple.build_all(tuple(waiting), self._at):
                    yield waiting.popleft(), (data,)
            except Refusal as refusal:
                yield waiting.popleft(), refusal

    def _make(self, content: PassContent, carrier: Carrier) -> tuple[bytes, ...]:
        """The contents of the carrier's files, in the order of `files_of`."""
        if carrier is Carrier.GOOGLE:
            return self._google_files(content)
        if carrier is Carrier.PDF:
            return (self._print(content),)
        return (content.seal + "\n").encode(), qr_png(content.seal)

    def _print(self, content: PassContent) -> bytes:
        assert self._pdf is not None
        sealing, pass_type, language = self._keys.pdf, self._pass_type, content.language
        check = sealing.check if sealing is not None else None
        made = self._pdf.render(pass_type, content, self._city, language, check)
        if sealing is None or not pass_type.pdf.is_sealed:
            return made
        return sealing.sealed(made, pass_type.words(language).name, self._city.name)

    def _google_files(self, content: PassContent) -> tuple[bytes, ...]:
        assert self._google is not None
        assert self._keys.google is not None
        rotating = None
        if self._city.google_rotating_barcode and self._keys.epoch_key is not None:
            rotating = pass_key(self._keys.epoch_key, content.number)
        made = self._google.google_object(content, rotating)
        link = skinny_link(
            self._keys.google,
            self._city,
            object_id=str(made["id"]),
            class_id=self._google.class_id,
            issued_at=self._at,
        )
        document = {"class": self._google.google_class(), "object": made}
        return msgspec.json.format(msgspec.json.encode(document), indent=2), (link + "\n").encode()
