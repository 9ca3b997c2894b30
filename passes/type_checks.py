"""Whether the parts of a type's files fit together: names that exist, words for everything, rules that can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from passes import eudi_spec
from passes.errors import PassRefusal
from passes.type_file import (
    BUILT_IN_FIELDS,
    CERTIFICATE_TEXTS,
    RESERVED_SEAL_KEYS,
    STANDINGS,
    AttributeSpec,
    MembershipSpec,
    PersonSpec,
    TypeFile,
    TypeTexts,
)


def check(spec: TypeFile, texts: Mapping[str, TypeTexts], name: str) -> None:
    """Check a type's file with its words by language; ``name`` is its folder's. Raises PassRefusal TYPE_FILE."""

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
    if spec.carriers is not None and {*spec.carriers, "seal"} != spec.made_for:
        refuse(f"carriers and sections differ, the sections are: {', '.join(sorted(spec.made_for))}")
    labels = {language: words.eudi for language, words in texts.items()}
    if spec.eudi is not None:
        eudi_spec.check(spec.eudi, names, labels, refuse)
    elif any(labels.values()):
        refuse("there are [eudi] labels and no [eudi] section")
    made_of = {name for one in spec.composed for line in one.lines for name in line}
    composed = [one.name for one in spec.composed]
    if not made_of <= set(names) or len({*composed, *names}) != len(composed) + len(names):
        refuse("a composed value is made of unknown attributes or named like another value")
    if spec.person is not None:
        _check_person(spec, spec.person, refuse)
    if spec.pdf is not None and not set(spec.pdf.further) <= set(keys):
        refuse("a further value of the certificate is no field")
    names += composed
    for language, words in texts.items():
        for key in keys:
            if key not in words.labels:
                refuse(f"{language}.toml has no label for {key}")
            if key not in BUILT_IN_FIELDS and key not in names and key not in words.texts:
                refuse(f"{language}.toml has no text for {key}")
            if key == "standing" and not words.texts.keys() >= set(STANDINGS):
                refuse(f"{language}.toml has no text for each of {', '.join(STANDINGS)}")
        if spec.pdf is not None and spec.pdf.is_sealed and not words.texts.keys() >= set(CERTIFICATE_TEXTS):
            refuse(f"{language}.toml has no text for each of {', '.join(CERTIFICATE_TEXTS)}")
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


def _check_person(spec: TypeFile, person: PersonSpec, refuse: Callable[[str], None]) -> None:
    kinds = {one.name: one.kind for one in spec.attributes}
    if not set(person.full_name) <= kinds.keys() or kinds.get(person.birth_date) != "date":
        refuse("the person has an unknown name or birth date")
    if person.address not in {one.name for one in spec.composed}:
        refuse("the person's address is no composed value")
    # Who somebody is and where they live has no place on a lock screen, or with a platform.
    if spec.apple is not None or spec.google is not None:
        refuse("a type that says who somebody is must not be a wallet pass")
