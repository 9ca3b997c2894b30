"""`stadtpass nightly`: preview, run and proof."""

from __future__ import annotations

import json
from typing import Any

import pytest

from issuer.application import Application
from issuer.cli import main
from tests.issuer.nightly.samples import snapshot
from tests.service import City


def run(city: City, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main(["nightly", *words, "--json", "--data", str(city.folder), "--today", "2027-09-01"])
    assert code == 0
    return json.loads(capsys.readouterr().out)


def test_what_the_preview_says_is_what_the_run_does(
    city: City, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(application)
    preview = run(city, capsys, "--preview")["parts"]
    assert snapshot(application) == before
    done = run(city, capsys, "--run")["parts"]
    # The chain is checked, not changed: of that there is nothing to preview.
    assert done.pop("audit")["entries"] > 10
    filled = {name: counts for name, counts in preview.items() if counts}
    assert {name: counts for name, counts in done.items() if counts} == filled
    assert filled["expiry"]["expired"] > 10
    assert filled["retention"]["passes"] > 1
    assert not any(run(city, capsys, "--run")["parts"].values())
    proof = {one["part"]: one["counts"] for one in run(city, capsys, "--report")}
    assert proof.pop("audit")["broken_at"] == 0
    assert {name: counts for name, counts in proof.items() if counts} == filled


def test_in_words(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    for language, words in (("de", "es ist nichts geändert"), ("en", "nothing has been changed")):
        arguments = ["nightly", "--preview", "--data", str(city.folder), "--today", "2027-09-01"]
        assert main([*arguments, "--lang", language]) == 0
        assert words in capsys.readouterr().out
