"""The web app's icons are what the manifest and the page say they are."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image, ImageDraw

from tests.web_pages import WEB

MANIFEST = json.loads((WEB / "manifest.webmanifest").read_text("utf-8"))
# Of a maskable icon everything outside this part of its width, a circle around the centre, may be cut off.
SAFE = 0.8


@pytest.mark.parametrize("listed", MANIFEST["icons"], ids=lambda listed: listed["src"])
def test_icons_are_what_the_manifest_says(listed: dict[str, str]) -> None:
    with Image.open(WEB / listed["src"]) as picture:
        assert picture.get_format_mimetype() == listed["type"]
        assert "{}x{}".format(*picture.size) == listed["sizes"]


def test_icons_of_the_page_are_there() -> None:
    page = (WEB / "index.html").read_text("utf-8")
    links = re.findall(r'<link rel="(icon|apple-touch-icon)" href="([^"]+)"', page)
    sizes = {}
    for kind, name in links:
        with Image.open(WEB / name) as picture:
            sizes[kind] = picture.size
    # What iOS asks for, and what the page says of the other.
    assert sizes == {"apple-touch-icon": (180, 180), "icon": (192, 192)}
    assert 'sizes="192x192"' in page


def test_nothing_of_a_maskable_icon_is_cut_off() -> None:
    maskable = [one["src"] for one in MANIFEST["icons"] if "maskable" in one["purpose"].split()]
    assert maskable
    for name in maskable:
        with Image.open(WEB / name) as opened:
            picture = opened.convert("RGBA")
        ground = picture.getpixel((0, 0))
        pixels = picture.width * picture.height
        # A transparent icon would get a ground of the launcher's choice.
        assert picture.getextrema()[3] == (255, 255)
        assert picture.getcolors() != [(pixels, ground)]
        edge = (1 - SAFE) / 2 * picture.width
        ImageDraw.Draw(picture).ellipse((edge, edge, picture.width - edge, picture.width - edge), fill=ground)
        assert picture.getcolors() == [(pixels, ground)]
