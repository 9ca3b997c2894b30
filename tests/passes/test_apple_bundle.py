"""Images, translations, archives and bundles of Apple passes."""

import io
import re
import subprocess
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from passes.apple_bundle import (
    MOST_PASSES,
    PreparedFiles,
    PreparedImages,
    bundle_parts,
    bundle_passes,
    strings_file,
)
from passes.errors import PassRefusal
from passes.pass_types import PassTypes
from tests.passes.apple_samples import NOW, TOKEN, factory, files_in
from tests.passes.carrier_samples import CARD, PERMIT, library_card, permit


def _png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "png")
    return out.getvalue()


ICONS = {"icon@2x.png": _png(76, 76), "icon@3x.png": _png(114, 114)}


@pytest.mark.parametrize("pass_type", [PERMIT, CARD], ids=lambda one: one.id)
def test_the_images_that_ship_are_complete_and_of_the_right_size(pass_type):
    images = PreparedImages(pass_type.images).files
    for name, points in {"icon": 38, "logo": 50, "thumbnail": 90}.items():
        for scale, suffix in ((1, ""), (2, "@2x"), (3, "@3x")):
            with Image.open(io.BytesIO(images[f"{name}{suffix}.png"])) as image:
                image.load()
                assert image.size == (points * scale, points * scale)
    # An icon with transparent corners gets a black frame on the lock screen.
    with Image.open(io.BytesIO(images["icon@3x.png"])) as icon:
        assert icon.mode == "RGB"


def test_a_type_without_images_gets_the_neutral_ones(tmp_path):
    from importlib.resources import files

    own = tmp_path / "club-card"
    own.mkdir()
    source = files("passes").joinpath("types", "library-card")
    for name in ("type.toml", "de.toml", "en.toml"):
        text = source.joinpath(name).read_text("utf-8")
        text = text.replace('id = "library-card"\nseal_code = 2', 'id = "club-card"\nseal_code = 77')
        (own / name).write_text(text, "utf-8")
    made = PassTypes.load(tmp_path)["club-card"]
    assert len(PreparedImages(made.images).files) == 9
    assert made.images != CARD.images
    factory(made).build(library_card(apple_token=TOKEN), NOW)


@pytest.mark.parametrize(
    "name, data, code",
    [
        ("icon.png", _png(39, 39), "APPLE_IMAGE_SIZE"),
        ("icon.png", _png(38, 29), "APPLE_IMAGE_SIZE"),
        ("logo.png", _png(161, 50), "APPLE_IMAGE_SIZE"),
        ("logo@2x.png", _png(320, 101), "APPLE_IMAGE_SIZE"),
        ("thumbnail@3x.png", _png(271, 270), "APPLE_IMAGE_SIZE"),
        ("strip@2x.png", _png(751, 288), "APPLE_IMAGE_SIZE"),
        ("logo.png", b"GIF89a", "APPLE_IMAGE_FORMAT"),
        ("logo.png", _png(50, 50)[:-1], "APPLE_IMAGE_FORMAT"),
        ("logo.png", b"", "APPLE_IMAGE_FORMAT"),
        ("Logo.png", _png(50, 50), "APPLE_IMAGE_NAME"),
        ("logo@4x.png", _png(50, 50), "APPLE_IMAGE_NAME"),
        ("../logo.png", _png(50, 50), "APPLE_IMAGE_NAME"),
        ("banner.png", _png(50, 50), "APPLE_IMAGE_NAME"),
    ],
)
def test_a_wrong_image_is_refused_by_name(name, data, code):
    with pytest.raises(PassRefusal) as refused:
        PreparedImages(ICONS | {name: data})
    assert refused.value.code == code
    assert name in refused.value.sentence("de")
    assert name in refused.value.sentence("en")


@pytest.mark.parametrize("name", ICONS)
def test_both_sharp_icons_are_needed(name):
    images = {"logo.png": _png(160, 50), "icon.png": _png(29, 29)} | ICONS
    assert len(PreparedImages(images).files) == 4
    del images[name]
    with pytest.raises(PassRefusal) as refused:
        PreparedImages(images)
    assert refused.value.code == "APPLE_IMAGE_MISSING"


@pytest.mark.parametrize("name", ["pass.json", "manifest.json", "signature", "bücher.png"])
def test_prepared_files_cannot_take_the_place_of_a_passs_own(name):
    with pytest.raises(ValueError, match="name"):
        PreparedFiles({name: b""})


def test_too_large_images_are_refused():
    with pytest.raises(PassRefusal) as refused:
        PreparedFiles({"logo.png": bytes(20_000_001)})
    assert refused.value.code == "APPLE_PASS_SIZE"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,20}\.png", fullmatch=True), st.binary(max_size=200), max_size=5),
       st.binary(max_size=300), st.binary(max_size=300))  # fmt: skip
def test_any_files_come_back_from_the_archive(files, pass_json, signature):
    prepared = PreparedFiles(files)
    manifest = prepared.manifest(pass_json)
    found = files_in(prepared.archive(pass_json, manifest, signature))
    assert found == files | {"pass.json": pass_json, "manifest.json": manifest, "signature": signature}


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=30), max_size=5))
def test_strings_come_back_from_their_file(table):
    text = strings_file(table).decode("utf-8") if _encodable(table) else ""
    found = re.findall(r'"((?:[^"\\]|\\.)*)" = "((?:[^"\\]|\\.)*)";\n', text, re.DOTALL)
    back = {"n": "\n", "r": "\r"}
    plain = [[re.sub(r"\\(.)", lambda m: back.get(m[1], m[1]), one) for one in pair] for pair in found]
    assert dict(plain) == (table if text else {})


def _encodable(table: dict[str, str]) -> bool:
    try:
        str(table).encode()
    except UnicodeEncodeError:
        return False
    return True


def test_a_bundle_holds_up_to_ten_passes(tmp_path):
    passes = [factory().build(permit("D-AB 123", number=f"BPA-{one}"), NOW) for one in range(10)]
    with zipfile.ZipFile(io.BytesIO(bundle_passes(passes))) as found:
        assert found.testzip() is None
        assert [found.read(name) for name in found.namelist()] == passes
        assert all(name.endswith(".pkpass") for name in found.namelist())
    for wrong in ([], [*passes, passes[0]]):
        with pytest.raises(PassRefusal) as refused:
            bundle_passes(wrong)
        assert refused.value.code == "APPLE_BUNDLE_COUNT"


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 11, 20, 21, 35])
def test_more_passes_are_as_few_bundles_of_one_size_as_it_takes(count):
    passes = [bytes([one]) for one in range(count)]
    parts = bundle_parts(passes)
    assert [one for part in parts for one in part] == passes
    assert len(parts) == -(-count // MOST_PASSES)
    sizes = [len(part) for part in parts]
    assert not sizes or (max(sizes) <= MOST_PASSES and max(sizes) - min(sizes) <= 1)
    if parts:
        assert bundle_passes(parts[0]) == bundle_passes(list(parts[0]))


def test_a_bundle_beyond_150_mb_is_refused_before_it_is_made():
    half = bytes(75_000_000)
    with pytest.raises(PassRefusal) as refused:
        bundle_passes([half, half])
    assert refused.value.code == "APPLE_BUNDLE_SIZE"


def test_unzip_takes_a_bundle(tmp_path):
    path = tmp_path / "family.pkpasses"
    path.write_bytes(bundle_passes([factory().build(permit("D-AB 123"), NOW)] * 2))
    try:
        made = subprocess.run(["unzip", "-t", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unzip is not installed")
    assert made.returncode == 0, made.stdout
