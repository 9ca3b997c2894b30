"""A third kind of card, as a city would add it: three text files, no image and no code."""

from __future__ import annotations

from pathlib import Path

TYPE = """
id = "museum-card"
seal_code = 40
stands_in_car = false

[colours]
background = "#204020"
foreground = "#ffffff"
label = "#c0e0c0"

[[attributes]]
name = "level"
kind = "choice"
choices = ["single", "family"]
seal_key = 8
required = true

[[attributes]]
name = "guests"
kind = "integer"
seal_key = 9

[[attributes]]
name = "house"
kind = "text"
max_length = 60

[[fields]]
key = "level"
apple = "primary"
google = "header"
pdf = "large"

[[fields]]
key = "house"
apple = "secondary"
google = "row1"
pdf = "small"

[[fields]]
key = "valid_until"
apple = "secondary"
google = "row1"
pdf = "large"
change_message = true

[[fields]]
key = "number"
apple = "auxiliary"
google = "row2"
pdf = "small"

[[fields]]
key = "rules"
apple = "back"
google = "text"

[apple]
style = "storeCard"
barcodes = ["seal:QR"]

[google]
generic_type = "GENERIC_ENTRY_TICKET"

[pdf]
documents = ["letter"]

[register]
number_column = "card_id"
checks = ["status_consistent"]

[[register.columns]]
name = "card_id"
kind = "number"
required = true
[[register.columns]]
name = "given_name"
kind = "name"
[[register.columns]]
name = "family_name"
kind = "name"
required = true
[[register.columns]]
name = "level"
kind = "choice"
choices = ["single", "family"]
attribute = "level"
required = true
[[register.columns]]
name = "guests"
kind = "integer"
maximum = 9
attribute = "guests"
[[register.columns]]
name = "house"
kind = "text"
attribute = "house"
max_length = 60
[[register.columns]]
name = "valid_from"
kind = "date"
required = true
[[register.columns]]
name = "valid_to"
kind = "date"
required = true
[[register.columns]]
name = "status"
kind = "choice"
choices = ["active", "revoked", "pending_payment"]
required = true
"""

WORDS = {
    "de": """
name = "Museumskarte"
description = "Jahreskarte der städtischen Museen"
[labels]
level = "Karte"
house = "Haus"
valid_until = "Gültig bis"
number = "Kartennummer"
rules = "Regeln"
[texts]
rules = "Die Karte ist nicht übertragbar."
[choices.level]
single = "Einzelkarte"
family = "Familienkarte"
[changes]
valid_until = "Ihre Karte gilt jetzt bis %@."
""",
    "en": """
name = "Museum card"
description = "Annual card of the city's museums"
[labels]
level = "Card"
house = "House"
valid_until = "Valid until"
number = "Card number"
rules = "Rules"
[texts]
rules = "The card is personal."
[choices.level]
single = "Single card"
family = "Family card"
[changes]
valid_until = "Your card is now valid until %@."
""",
}

ROWS = [
    {"card_id": "MUS-1", "given_name": "Ada", "family_name": "Beispielhaft", "level": "family", "guests": "3",
     "house": "Haus am Wasser", "valid_from": "2026-03-01", "valid_to": "2027-02-28", "status": "active"},
    {"card_id": "MUS-2", "given_name": "", "family_name": "Suharto", "level": "single", "guests": "",
     "house": "", "valid_from": "2025-03-01", "valid_to": "2026-02-28", "status": "active"},
    {"card_id": "MUS-3", "given_name": "Béla", "family_name": "Ćwikła", "level": "single", "guests": "0",
     "house": "Stadtmuseum", "valid_from": "2026-03-01", "valid_to": "2027-02-28", "status": "revoked"},
    {"card_id": "MUS-4", "given_name": "Eva", "family_name": "Neu", "level": "single", "guests": "1",
     "house": "", "valid_from": "2026-12-01", "valid_to": "2027-11-30", "status": "pending_payment"},
]  # fmt: skip


def add_type(data: Path, name: str = "museum-card", **changed: str) -> Path:
    """Put the type's folder into an installation; ``changed`` replaces whole files by their stem."""
    folder = data / "types" / name
    folder.mkdir(parents=True)
    for stem, text in {"type": TYPE, **WORDS, **changed}.items():
        (folder / f"{stem}.toml").write_text(text, encoding="utf-8")
    return folder
