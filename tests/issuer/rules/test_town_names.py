"""Names of towns: the spellings of one, and those of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.rules.town_names import may_be_same_town


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Düsseldorf", "DUESSELDORF"),
        ("Düsseldorf", "Dusseldorf"),
        ("Düsseldorf", "Landeshauptstadt Düsseldorf"),
        ("Düsseldorf", "Düsseldorf-Nord"),
        ("Hamburg", "Freie und Hansestadt Hamburg"),
        ("Stadt Köln", "Köln, Stadt"),
        ("Hanau", "Brüder-Grimm-Stadt Hanau"),
        ("Stadt Darmstadt", "Wissenschaftsstadt Darmstadt"),
        ("Darmstadt", "Darmstadt-Arheilgen"),
        ("Frankfurt", "Frankfurt am Main"),
        ("FRANKFURT AM MAIN", "Frankfurt/M."),
        ("Frankfurt a. M.", "Frankfurt am Main"),
        ("Frankfurt (Oder)", "Frankfurt an der Oder"),
        ("Halle (Westf.)", "Halle Westfalen"),
        ("Neustadt an der Weinstraße", "NEUSTADT A.D.WEINSTR."),
        ("Rothenburg ob der Tauber", "Rothenburg o.d.T."),
        ("Bad Homburg v. d. Höhe", "Bad Homburg vor der Hoehe"),
        ("St. Augustin", "Sankt Augustin"),
        ("Markt Schwaben", "MARKT SCHWABEN"),
        ("Garmisch-Partenkirchen", "Garmisch Partenkirchen"),
    ],
)
def test_one_town(one: str, other: str) -> None:
    assert may_be_same_town(one, other)
    assert may_be_same_town(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Düsseldorf", "Neuss"),
        ("Frankfurt am Main", "Frankfurt (Oder)"),
        ("Halle (Saale)", "Halle (Westf.)"),
        ("Wulmstorf", "Neu Wulmstorf"),
        ("Homburg", "Bad Homburg"),
        ("Stadt Köln", "Stadt Bonn"),
        ("Stadt", "Stadt Köln"),
        ("Neustadt an der Weinstraße", "Neustadt an der Donau"),
        ("Köln", ""),
        ("", ""),
        ("-", "."),
        ("Köln", "Köln" + " x" * 200),
    ],
)
def test_two_towns(one: str, other: str) -> None:
    assert not may_be_same_town(one, other)
    assert not may_be_same_town(other, one)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_written_is_compared_both_ways(one: str, other: str) -> None:
    assert may_be_same_town(one, other) is may_be_same_town(other, one)
