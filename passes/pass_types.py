"""Pass types as data: one folder each with ``type.toml``, ``de.toml``, ``en.toml`` and PNG images.

A new kind of card is a new folder and no code. Everything is read strictly: an unknown key, a missing
translation or a seal key used twice is refused with the file's name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Literal, TypeVar

import msgspec

from keys.texts import LANGUAGES
from passes import eudi_spec
from passes.card_numbers import SCHEMES, CardNumber, CheckScheme
from passes.card_schemes import FILE_NAME, read_schemes
from passes.errors import PassRefusal
from passes.eudi_spec import EudiSpec
from passes.model import PassContent

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{1,39}\Z")]
_Key = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
_Colour = Annotated[str, msgspec.Meta(pattern=r"\A#[0-9a-f]{6}\Z")]
_Shape = TypeVar("_Shape")
_Length = Annotated[int, msgspec.Meta(ge=1, le=2000)]

AttributeKind = Literal[
    "plates", "zone", "organisation", "choice", "card_number", "text", "integer", "date", "yes_no"
]
ColumnKind = Literal[
    "number", "reference", "name", "organisation", "address", "email", "language", "text", "date",
    "integer", "cents", "choice", "yes_no", "zone", "plate", "season", "card_number", "card_scheme",
    "symbology",
]  # fmt: skip
# Where a type can live; every type has a seal.
CarrierName = Literal["apple", "google", "pdf", "seal", "eudi"]
# Body keys that every seal has: type code, pass number, status reference.
RESERVED_SEAL_KEYS = frozenset({0, 1, 7})
# What can stand on a carrier besides the attributes.
BUILT_IN_FIELDS = frozenset(
    {
        "number", "valid_from", "valid_until", "vehicle", "zone_code", "display_hint", "contact", "reminder",
        "standing",
    }
)  # fmt: skip
# What a pass says on its face while it does not hold: texts of the type, by the pass's status.
STANDINGS = ("standing_suspended", "standing_revoked", "standing_superseded")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Colours(_Strict, frozen=True):
    """The colours of a pass as ``#rrggbb``."""

    background: _Colour
    foreground: _Colour
    label: _Colour


class AttributeSpec(_Strict, frozen=True):
    """One value that a pass of the type carries; ``seal_key`` puts it into the seal's body."""

    name: _Key
    kind: AttributeKind
    seal_key: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    season_seal_key: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    required: bool = False
    choices: tuple[_Key, ...] = ()
    max_length: _Length = 120


class FieldSpec(_Strict, frozen=True):
    """Where a value stands on each carrier."""

    key: _Key
    apple: Literal["header", "primary", "secondary", "auxiliary", "back", "none"] = "none"
    google: Literal["header", "row1", "row2", "row3", "text", "none"] = "none"
    pdf: Literal["large", "small", "none"] = "none"
    change_message: bool = False


class AppleSpec(_Strict, frozen=True):
    """How the type looks as an Apple pass. A barcode is ``seal:FORMAT`` or ``number:FORMAT``, in order.

    Where the type has a code of its number as well and the city shows that one, the barcodes are not asked: the
    card's own symbology says which.
    """

    style: Literal["generic", "storeCard", "eventTicket", "coupon"]
    barcodes: tuple[Annotated[str, msgspec.Meta(pattern=r"\A(seal|number):[A-Za-z0-9]+\Z")], ...]
    sharing_prohibited: bool = True


class GoogleSpec(_Strict, frozen=True):
    """How the type looks as a Google generic pass; ``barcode`` as in `AppleSpec`."""

    generic_type: Annotated[str, msgspec.Meta(pattern=r"\AGENERIC_[A-Z_]+\Z")]
    barcode: Annotated[str, msgspec.Meta(pattern=r"\A(seal|number):[A-Za-z0-9]+\Z")] = "seal:QR"


class PdfSpec(_Strict, frozen=True):
    """Which documents the PDF holds."""

    documents: tuple[Literal["windscreen-card", "letter"], ...]


class ColumnSpec(_Strict, frozen=True):
    """A column of the register's CSV file; ``attribute`` says which attribute it feeds."""

    name: _Key
    kind: ColumnKind
    required: bool = False
    attribute: _Key | None = None
    choices: tuple[str, ...] = ()
    max_length: _Length = 200
    minimum: int = 0
    maximum: int = 10_000_000


class RegisterSpec(_Strict, frozen=True):
    """How rows of this type come in: columns, the named checks that apply, and a legacy layout."""

    number_column: _Key
    columns: tuple[ColumnSpec, ...]
    checks: tuple[_Key, ...] = ()
    legacy: str | None = None


_Age = Annotated[int, msgspec.Meta(ge=0, le=120)]


class CategorySpec(_Strict, frozen=True):
    """A category of members. ``from_age`` and ``below_age`` are completed years of life; without them, any age.

    ``birth_date`` says whether one must be given; institutions have none. ``pays`` is whether the category has a fee
    at all, ``proof`` whether a reduction must be proven when the card is given out.
    """

    name: _Key
    from_age: _Age | None = None
    below_age: _Age | None = None
    birth_date: Literal["required", "none"] = "required"
    pays: bool = False
    proof: bool = False

    def fits(self, age: int) -> bool:
        """Whether somebody of ``age`` completed years may be in the category."""
        return (self.from_age is None or age >= self.from_age) and (
            self.below_age is None or age < self.below_age
        )


class MembershipSpec(_Strict, frozen=True):
    """The rules of a library's membership.

    Below the age ``consent_under`` a parent consents, whoever has ``full_age`` can be a guardian, and nobody pays
    until the birthday ``free_until``.
    """

    consent_under: _Age
    full_age: _Age
    free_until: _Age
    categories: Annotated[tuple[CategorySpec, ...], msgspec.Meta(min_length=1, max_length=20)]

    def category(self, name: str) -> CategorySpec | None:
        """The category ``name``, if there is one."""
        return next((one for one in self.categories if one.name == name), None)


class TypeTexts(_Strict, frozen=True):
    """The words of a type in one language."""

    name: str
    description: str
    labels: dict[str, str]
    texts: dict[str, str] = {}
    choices: dict[str, dict[str, str]] = {}
    changes: dict[str, str] = {}
    eudi: dict[str, str] = {}


class _TypeFile(_Strict, frozen=True):
    id: _Id
    seal_code: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    stands_in_car: bool
    colours: Colours
    attributes: tuple[AttributeSpec, ...]
    fields: tuple[FieldSpec, ...]
    register: RegisterSpec
    carriers: tuple[CarrierName, ...] | None = None
    apple: AppleSpec | None = None
    google: GoogleSpec | None = None
    pdf: PdfSpec | None = None
    eudi: EudiSpec | None = None
    # The codes that a pass has: wallets show one, by the city's setting; print and pick-up page show all.
    codes: tuple[Literal["seal", "number"], ...] = ("seal",)
    membership: MembershipSpec | None = None


@dataclass(frozen=True)
class PassType:
    """A kind of card. ``images`` maps Apple's file names such as ``logo@2x.png`` to PNG bytes.

    ``card_schemes`` are the check schemes of card numbers, the city's own among them.
    """

    spec: _TypeFile
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
        sections: dict[CarrierName, object] = {
            "apple": self.spec.apple, "google": self.spec.google, "pdf": self.spec.pdf, "eudi": self.spec.eudi
        }  # fmt: skip
        return frozenset({"seal", *(name for name, section in sections.items() if section is not None)})

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
    spec = _read(folder.joinpath("type.toml"), _TypeFile)
    texts = {language: _read(folder.joinpath(f"{language}.toml"), TypeTexts) for language in LANGUAGES}
    own = folder.joinpath("images")
    images = _images(files("passes").joinpath("types", "default-images"))
    if own.is_dir():
        images = _images(own)
    _check(spec, texts, folder.name)
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


def _check(spec: _TypeFile, texts: Mapping[str, TypeTexts], name: str) -> None:
    def refuse(fault: str) -> None:
        raise PassRefusal("TYPE_FILE", file=name, fault=fault)

    names = [attribute.name for attribute in spec.attributes]
    if len(set(names)) != len(names):
        refuse("an attribute is declared twice")
    seal_keys = [
        key for one in spec.attributes for key in (one.seal_key, one.season_seal_key) if key is not None
    ]
    if len(set(seal_keys)) != len(seal_keys) or RESERVED_SEAL_KEYS & set(seal_keys):
        refuse("a seal key is reserved or used twice")
    if spec.codes not in {("seal",), ("seal", "number")}:
        refuse("codes are seal, or seal and number")
    card = next((one for one in spec.attributes if one.kind == "card_number"), None)
    if "number" in spec.codes and (card is None or not card.required):
        refuse("a code of the number needs a card number that is required")
    keys = [field.key for field in spec.fields]
    if len(set(keys)) != len(keys):
        refuse("a field is placed twice")
    columns = {column.name: column for column in spec.register.columns}
    if len(columns) != len(spec.register.columns):
        refuse("a column is declared twice")
    if spec.register.number_column not in columns:
        refuse("number_column is not among the columns")
    for column in spec.register.columns:
        if column.attribute is not None and column.attribute not in names:
            refuse(f"column {column.name} feeds an unknown attribute")
    for needed in ("valid_from", "valid_to", "status"):
        if needed not in columns:
            refuse(f"column {needed} is missing")
    if spec.membership is not None:
        _check_membership(spec.membership, spec.attributes, refuse)
    if any(one.key == "reminder" and (one.google, one.pdf) != ("none", "none") for one in spec.fields):
        refuse("reminder stands on Apple passes alone")
    made = PassType(spec, texts, {}).carriers
    if spec.carriers is not None and {*spec.carriers, "seal"} != made:
        refuse(f"carriers and sections differ, the sections are: {', '.join(sorted(made))}")
    labels = {language: words.eudi for language, words in texts.items()}
    if spec.eudi is not None:
        eudi_spec.check(spec.eudi, names, labels, refuse)
    elif any(labels.values()):
        refuse("there are [eudi] labels and no [eudi] section")
    for language, words in texts.items():
        for key in keys:
            if key not in words.labels:
                refuse(f"{language}.toml has no label for {key}")
            if key not in BUILT_IN_FIELDS and key not in names and key not in words.texts:
                refuse(f"{language}.toml has no text for {key}")
            if key == "standing" and not words.texts.keys() >= set(STANDINGS):
                refuse(f"{language}.toml has no text for each of {', '.join(STANDINGS)}")
        for attribute in spec.attributes:
            if attribute.kind == "choice" and set(words.choices.get(attribute.name, {})) != set(
                attribute.choices
            ):
                refuse(f"{language}.toml does not name the choices of {attribute.name}")


def _check_membership(
    rules: MembershipSpec, attributes: tuple[AttributeSpec, ...], refuse: Callable[[str], None]
) -> None:
    names = [one.name for one in rules.categories]
    if len(set(names)) != len(names):
        refuse("a category of the membership is declared twice")
    choices = next((one.choices for one in attributes if one.name == "category"), None)
    if choices is None or set(choices) != set(names):
        refuse("the membership's categories are not the choices of the attribute category")
    if all(one.kind != "card_number" for one in attributes):
        refuse("a membership needs a card number")
    if any(one.below_age is not None and one.below_age <= (one.from_age or 0) for one in rules.categories):
        refuse("a category of the membership ends before it begins")
    if any(
        one.birth_date == "none" and (one.from_age, one.below_age) != (None, None) for one in rules.categories
    ):
        refuse("a category without birth dates has no ages")
