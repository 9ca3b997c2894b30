"""Pass types as data: one folder each with ``type.toml``, ``de.toml``, ``en.toml`` and PNG images.

A new kind of card is a new folder and no code. Everything is read strictly: an unknown key, a missing
translation or a seal key used twice is refused with the file's name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeVar

import msgspec

from keys.texts import LANGUAGES
from passes.card_numbers import SCHEMES, CardNumber, CheckScheme
from passes.card_schemes import FILE_NAME, read_schemes
from passes.errors import PassRefusal
from passes.eudi_spec import EudiSpec
from passes.model import PassContent
from passes.type_checks import check
from passes.type_file import (
    AppleSpec,
    AttributeSpec,
    CarrierName,
    ComposedSpec,
    GoogleSpec,
    PdfSpec,
    TypeFile,
    TypeTexts,
)

_Shape = TypeVar("_Shape")


@dataclass(frozen=True)
class PassType:
    """A kind of card. ``images`` maps Apple's file names such as ``logo@2x.png`` to PNG bytes.

    ``card_schemes`` are the check schemes of card numbers, the city's own among them.
    """

    spec: TypeFile
    texts: Mapping[str, TypeTexts]
    images: Mapping[str, bytes]
    card_schemes: Mapping[str, CheckScheme] = field(default_factory=lambda: SCHEMES)

    @property
    def id(self) -> str:
        """The type's id, e.g. ``resident-parking-permit``."""
        return self.spec.id

    @property
    def seal_code(self) -> int:
        """The number that stands for the type in a seal."""
        return self.spec.seal_code

    @cached_property
    def carriers(self) -> frozenset[CarrierName]:
        """Where passes of the type may live: those its file has a section for, and the seal."""
        return self.spec.made_for

    @property
    def apple(self) -> AppleSpec:
        """How the type looks as an Apple pass. Raises PassRefusal TYPE_CARRIER where it never is one."""
        return self._on("apple", self.spec.apple)

    @property
    def google(self) -> GoogleSpec:
        """How the type looks as a Google pass. Raises PassRefusal TYPE_CARRIER where it never is one."""
        return self._on("google", self.spec.google)

    @property
    def pdf(self) -> PdfSpec:
        """Which documents the PDF holds. Raises PassRefusal TYPE_CARRIER where there is none."""
        return self._on("pdf", self.spec.pdf)

    @property
    def eudi(self) -> EudiSpec:
        """How the type looks as an EUDI credential. Raises PassRefusal TYPE_CARRIER where it never is one."""
        return self._on("eudi", self.spec.eudi)

    def _on(self, carrier: CarrierName, section: _Shape | None) -> _Shape:
        if section is None:
            raise PassRefusal("TYPE_CARRIER", type=self.id, carrier=carrier)
        return section

    @cached_property
    def card_attribute(self) -> str | None:
        """The attribute that is the number on the card; None for types whose passes have their own number alone."""
        cards = (one.name for one in self.spec.attributes if one.kind == "card_number")
        return next(cards, None)

    @cached_property
    def has_number_code(self) -> bool:
        """Whether passes of the type have, beside the seal, their card number as a code for other readers."""
        return "number" in self.spec.codes

    @cached_property
    def shows_reminder(self) -> bool:
        """Whether the Apple pass has the field that changes when its holder is reminded of the end."""
        return any(one.key == "reminder" and one.apple != "none" for one in self.spec.fields)

    @cached_property
    def attributes(self) -> Mapping[str, AttributeSpec]:
        """The declared attributes by name, in order."""
        return {attribute.name: attribute for attribute in self.spec.attributes}

    def card_of(self, content: PassContent) -> CardNumber | None:
        """The number on the card that ``content`` is for; None where the type has none."""
        value = content.attributes.get(self.card_attribute) if self.card_attribute is not None else None
        return value if isinstance(value, CardNumber) else None

    def card_number(self, text: str, scheme: str = "", symbology: str = "") -> CardNumber:
        """As `CardNumber.parse`, with the schemes that the type knows."""
        return CardNumber.parse(text, scheme, symbology, self.card_schemes)

    @cached_property
    def composed(self) -> Mapping[str, ComposedSpec]:
        """The values made of several attributes, by name."""
        return {one.name: one for one in self.spec.composed}

    def words(self, language: str) -> TypeTexts:
        """The type's words in ``language``; German where there is no translation."""
        return self.texts.get(language, self.texts["de"])


class PassTypes:
    """The pass types of an installation: those that ship with Stadtpass and those of a city's folder."""

    def __init__(self, types: Mapping[str, PassType]) -> None:
        self._types = dict(types)
        if len({one.seal_code for one in self._types.values()}) != len(self._types):
            raise PassRefusal("TYPE_CODE_TWICE", codes=", ".join(sorted(self._types)))

    @classmethod
    def load(cls, *folders: Traversable) -> PassTypes:
        """The built-in types and every sub-folder of ``folders`` that has a ``type.toml``.

        Card number schemes in a folder's ``card-schemes.toml`` hold for all types.

        Raises PassRefusal naming the file for anything that is not as declared here.
        """
        types: dict[str, PassType] = {}
        schemes: dict[str, CheckScheme] = dict(SCHEMES)
        for folder in folders:
            if folder.is_dir() and folder.joinpath(FILE_NAME).is_file():
                schemes |= read_schemes(folder.joinpath(FILE_NAME))
        for folder in (files("passes").joinpath("types"), *folders):
            if not folder.is_dir():
                continue
            for entry in sorted(folder.iterdir(), key=lambda item: item.name):
                if entry.joinpath("type.toml").is_file():
                    loaded = load_type(entry)
                    if loaded.id in types:
                        raise PassRefusal("TYPE_TWICE", type=loaded.id, file=entry.name)
                    types[loaded.id] = loaded
        return cls({name: replace(one, card_schemes=schemes) for name, one in types.items()})

    def __getitem__(self, type_id: str) -> PassType:
        try:
            return self._types[type_id]
        except KeyError:
            raise PassRefusal("TYPE_UNKNOWN", type=type_id, known=", ".join(sorted(self._types))) from None

    def __iter__(self) -> Iterator[PassType]:
        return iter(sorted(self._types.values(), key=lambda one: one.seal_code))


def load_type(folder: Traversable) -> PassType:
    """Read one pass type from its folder. Raises PassRefusal TYPE_FILE with the file and the fault."""
    spec = _read(folder.joinpath("type.toml"), TypeFile)
    texts = {language: _read(folder.joinpath(f"{language}.toml"), TypeTexts) for language in LANGUAGES}
    own = folder.joinpath("images")
    images = _images(files("passes").joinpath("types", "default-images"))
    if own.is_dir():
        images = _images(own)
    check(spec, texts, folder.name)
    return PassType(spec, texts, images)


def _images(folder: Traversable) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda item: item.name)
        if entry.name.endswith(".png")
    }


def _read(file: Traversable, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), shape)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise PassRefusal("TYPE_FILE", file=str(file), fault=str(fault)) from fault
