import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from passes.errors import PassRefusal
from passes.pass_types import PassTypes
from passes.type_metadata import integrity_of, type_metadata
from tests.passes.carrier_samples import CARD, PERMIT
from tests.passes.credential_samples import RESIDENCE

URL = "https://ausweise.stadt.example"
# Credentials hold these hashes. Who changes a claim or a word raises the number at the end of `vct`, and then this.
PUBLISHED = {
    "resident-parking-permit": ("1", "sha256-Kx1q1NhnCRMUVb0cjcjWAMI2qJrEs9Sai1KJJE505Pg="),
    "library-card": ("1", "sha256-LEhpwaZ6Q1svi58bRKYxf85bS9C3C/pIh9WfB7QSLTE="),
    "residence-certificate": ("1", "sha256-4aVcFDmT2Lnb5TVdUb8zy5eN0b98u3Aw900p/VipFsQ="),
}


@pytest.mark.parametrize("pass_type", [PERMIT, CARD, RESIDENCE], ids=lambda one: one.id)
def test_what_was_published_stays_as_it_was(pass_type: Any) -> None:
    version, published = PUBLISHED[pass_type.id]
    made = type_metadata(pass_type, URL)
    assert made.vct == f"{URL}/vct/{pass_type.id}/{version}"
    assert made.integrity == published


@pytest.mark.parametrize("pass_type", [PERMIT, CARD, RESIDENCE], ids=lambda one: one.id)
def test_every_claim_has_a_label_in_both_languages(pass_type: Any) -> None:
    made = type_metadata(pass_type, URL)
    document = json.loads(made.document)
    assert made.integrity == "sha256-" + b64encode(hashlib.sha256(made.document).digest()).decode()
    assert [one["locale"] for one in document["display"]] == ["de-DE", "en-GB"]
    paths = [tuple(one["path"]) for one in document["claims"]]
    assert len(set(paths)) == len(paths)
    for one in document["claims"]:
        assert [shown["locale"] for shown in one["display"]] == ["de-DE", "en-GB"]
        assert one["sd"] in ("always", "never")
        assert isinstance(one["mandatory"], bool)


def test_arrays_are_told_of_as_a_whole_and_by_element() -> None:
    claims = {tuple(one["path"]): one for one in json.loads(type_metadata(PERMIT, URL).document)["claims"]}
    assert ("plates",) in claims
    assert ("plates", None) in claims
    homes = {tuple(one["path"]) for one in json.loads(type_metadata(RESIDENCE, URL).document)["claims"]}
    assert {("residences",), ("residences", None), ("residences", None, "locality")} <= homes


def test_the_hash_is_that_of_the_standard() -> None:
    assert integrity_of(b"") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_cities_have_documents_of_their_own() -> None:
    assert type_metadata(CARD, URL).vct != type_metadata(CARD, "https://bonn.example/").vct
    assert type_metadata(CARD, "https://bonn.example/").vct == "https://bonn.example/vct/library-card/1"


# --- the section in the pass type's file


def types_with(folder: Path, *changes: tuple[str, str, str]) -> PassTypes:
    """The built-in library card under another name, with text replaced in its files."""
    own = folder / "club-card"
    own.mkdir()
    source = Path(__file__).parents[2] / "passes" / "types" / "library-card"
    for file in ("type.toml", "de.toml", "en.toml"):
        text = (source / file).read_text()
        if file == "type.toml":
            text = text.replace('id = "library-card"\nseal_code = 2', 'id = "club-card"\nseal_code = 77')
        for name, before, after in changes:
            if name == file:
                assert before in text, before
                text = text.replace(before, after, 1)
        (own / file).write_text(text)
    return PassTypes.load(folder)


def test_a_citys_own_type_can_be_a_credential(tmp_path: Path) -> None:
    assert types_with(tmp_path)["club-card"].eudi.doctype == "de.stadtpass.library-card.1"


T = "type.toml"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((T, 'source = "pseudonym"', 'source = "name"'), "filled from name"),
        ((T, 'source = "pseudonym"', 'source = "pseudonym"\nvalue = "x"'), "both source and value"),
        ((T, 'source = "pseudonym"', 'secret = "pseudonym"'), "secret"),
        ((T, 'path = ["also_known_as"]', 'path = ["exp"]'), "a name of the format"),
        ((T, 'path = ["also_known_as"]', 'path = ["category"]'), "a path is declared twice"),
        ((T, 'path = ["also_known_as"]', 'path = ["a", "b"]'), "is not declared as an object"),
        ((T, 'path = ["also_known_as"]', "path = [0]"), "cannot have this path"),
        ((T, 'path = ["also_known_as"]', 'path = ["UPPER"]'), "path"),
        ((T, 'element = "also_known_as"', 'element = "issue_date"'), "an element is declared twice"),
        ((T, 'element = "also_known_as"', 'element = "nickname"'), "given_name and family_name"),
        ((T, 'element = "expiry_date"', 'element = "ends"'), "lacks expiry_date"),
        ((T, 'namespace = "org.iso.23220.1"\n', ""), "needs namespace and element"),
        ((T, 'formats = ["dc+sd-jwt", "mso_mdoc"]', 'formats = ["dc+sd-jwt"]'), "doctype belongs"),
        ((T, 'formats = ["dc+sd-jwt", "mso_mdoc"]', 'formats = ["mso_mdoc"]'), "vct belongs"),
        ((T, 'formats = ["dc+sd-jwt", "mso_mdoc"]', "formats = []"), "no format"),
        ((T, 'formats = ["dc+sd-jwt", "mso_mdoc"]', 'formats = ["jwt_vc"]'), "jwt_vc"),
        ((T, 'vct = "/vct/library-card/1"', 'vct = "library"'), "vct"),
        ((T, "lifetime_days = 365", "lifetime_days = 0"), "lifetime_days"),
        ((T, "stands_in_car = false", 'stands_in_car = false\ncarriers = ["eudi"]'), "carriers and sections differ"),
        ((T, "stands_in_car = false", 'stands_in_car = false\ncarriers = ["paper"]'), "paper"),
        (("de.toml", 'also_known_as = "Pseudonym"', ""), "de.toml has no [eudi] label for also_known_as"),
        (("en.toml", 'also_known_as = "Pseudonym"', 'also_known_as = "P"\nmore = "M"'), "which is no claim"),
    ],
)  # fmt: skip
def test_a_section_that_contradicts_itself_is_refused(
    tmp_path: Path, change: tuple[str, str, str], fault: str
) -> None:
    with pytest.raises(PassRefusal) as caught:
        types_with(tmp_path, change)
    assert caught.value.code == "TYPE_FILE"
    assert fault in caught.value.sentence("en")
