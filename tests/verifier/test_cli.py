import contextlib
import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from keys.bundle import root_to_pem
from passes.qr import qr_png
from passes.seasons import Season
from passes.status_list import Status
from tests.trust_factory import LIST_NUMBER, NOW, PLATE, City, Key, permit, seconds
from verifier import cli, inputs

AT = ["--at", "2026-11-20T12:00"]


@pytest.fixture
def city(tmp_path: Path) -> City:
    city = City(tmp_path / "trust")
    city.list_plate()
    return city.publish()


def run(*arguments: object) -> int:
    try:
        return cli.main([str(one) for one in arguments])
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def verify(city: City, *arguments: object) -> int:
    return run("verify", "--trust", city.folder, *AT, *arguments)


def seals(city: City) -> dict[str, str]:
    city.statuses[LIST_NUMBER][5] = Status.INVALID
    city.publish()
    return {
        "GREEN": city.seal(),
        "AMBER": city.seal(seasons=(Season(4, 10),)),
        "GREY": city.seal(status_list=99),
        "RED": city.seal(status_index=5),
    }


CODES = {"GREEN": 0, "RED": 1, "AMBER": 2, "GREY": 3}
WORST = ["GREEN", "AMBER", "GREY", "RED"]


@pytest.mark.parametrize("colour", WORST)
def test_exit_code_tells_the_colour(city: City, colour: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(city, seals(city)[colour]) == CODES[colour]
    assert colour in capsys.readouterr().out


@pytest.mark.parametrize("first", WORST)
@pytest.mark.parametrize("second", WORST)
def test_of_several_inputs_the_worst_counts(city: City, first: str, second: str) -> None:
    texts = seals(city)
    assert verify(city, texts[first], texts[second]) == CODES[max(first, second, key=WORST.index)]


def test_json_has_one_object_a_line(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(city, "--json", city.seal(), "https://look-alike.example/") == 3
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(first) == {
        "verdict", "reason", "message", "type", "number", "plates", "zone", "card_number", "organisation",
        "valid_from", "valid_until", "list_age_seconds", "list_time", "freshness", "test", "suggestions",
    }  # fmt: skip
    assert (first["reason"], second["reason"]) == ("VALID", "NOT_A_SEAL")
    assert second["number"] is None
    assert first.keys() == second.keys()


def test_sentences_are_german_or_english(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    verify(city, city.seal())
    assert "Gültig bis einschließlich 31.03.2027" in capsys.readouterr().out
    verify(city, "--lang", "en", city.seal())
    assert "Valid until and including 31.03.2027" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["24711300000134", "*BQD18N001000*", "]F0A24711300000134B", "D-AB 123"])
def test_a_plain_number_is_grey_and_says_where_to_look(
    city: City, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert verify(city, "--json", text) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["reason"], told["card_number"]) == ("GREY", "NOT_A_SEAL", None)
    assert "Nummer ohne Unterschrift" in told["message"]
    assert verify(city, "--lang", "en", text) == 3
    assert "the system that keeps the card" in capsys.readouterr().out
    # What is no number is a foreign code as before.
    verify(city, "https://look-alike.example/4711")
    assert "keine fremden Codes" in capsys.readouterr().out


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_lines_of_standard_input(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = city.seal().encode()
    feed(monkeypatch, text + b"\r\n\n" + b"\xff\xfe\n" + b"x" * 9000 + b"\n" + text)
    assert verify(city, "--json", "-") == 3
    reasons = [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()]
    assert reasons == ["VALID", "NOT_A_SEAL", "NOT_A_SEAL", "VALID"]


def test_a_long_line_is_one_line_and_never_a_good_one(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = city.seal().encode()
    feed(monkeypatch, text + b" " * (inputs.MAX_LINE - len(text)) + text + b"\n" + text + b"x" * 100_000)
    assert verify(city, "--json", "-") == 1
    reasons = [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()]
    assert reasons == ["MALFORMED", "MALFORMED"]


def test_nothing_to_check_is_a_usage_error(
    city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    feed(monkeypatch, b"\n\n")
    assert verify(city, "-") == 64
    (tmp_path / "empty.txt").write_bytes(b"")
    assert verify(city, tmp_path / "empty.txt") == 64


@pytest.mark.parametrize("name", ["seal.txt", "seal", "seals.list"])
def test_a_text_file(city: City, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(city.seal() + "\n")
    assert verify(city, path) == 0
    path.write_text(city.seal() + "\nsomething else\n")
    assert verify(city, path) == 3
    path.write_bytes(b"\xff\0\n" * 10)
    assert verify(city, path) == 3


def code(text: str) -> Image.Image:
    if text.startswith("SP1"):
        return Image.open(io.BytesIO(qr_png(text, module_px=6))).convert("L")
    import qrcode

    return qrcode.make(text).get_image().convert("L")


def beside(path: Path, *texts: str) -> Path:
    tiles = [code(text) for text in texts]
    whole = Image.new("L", (sum(tile.width + 60 for tile in tiles), max(tile.height for tile in tiles)), 255)
    at = 0
    for tile in tiles:
        whole.paste(tile, (at, 0))
        at += tile.width + 60
    whole.save(path)
    return path


def reason(city: City, capsys: pytest.CaptureFixture[str], item: object) -> tuple[int, str]:
    ended = verify(city, "--json", item)
    return ended, json.loads(capsys.readouterr().out)["reason"]


def test_a_picture_of_a_seal(city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("png", "jpg", "webp"):
        path = tmp_path / f"seal.{kind}"
        code(city.seal()).convert("RGB").save(path)
        assert reason(city, capsys, path) == (0, "VALID")
    bare = tmp_path / "no-ending"
    bare.write_bytes((tmp_path / "seal.png").read_bytes())
    assert reason(city, capsys, bare) == (0, "VALID")


def test_two_different_seals_in_a_picture_are_never_good(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = city.seal()
    other = city.seal(number="BP-2026-000999", plates=(), organisation="Stadtteilauto")
    picture = beside(tmp_path / "two.png", own, other)
    assert reason(city, capsys, picture) == (3, "NOT_A_SEAL")
    assert verify(city, "--lang", "en", picture) == 3
    assert "several different seals" in capsys.readouterr().out
    bad = beside(tmp_path / "bad.png", own, city.seal(key=Key()))
    assert reason(city, capsys, bad) == (1, "UNKNOWN_KEY")
    assert reason(city, capsys, beside(tmp_path / "twice.png", own, own)) == (0, "VALID")


def test_a_foreign_code_beside_a_seal_does_not_matter_and_alone_is_grey(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = "https://look-alike.example/v?p=1"
    assert reason(city, capsys, beside(tmp_path / "a.png", foreign, city.seal())) == (0, "VALID")
    assert reason(city, capsys, beside(tmp_path / "b.png", foreign)) == (3, "NOT_A_SEAL")
    Image.new("L", (300, 300), 255).save(tmp_path / "c.png")
    assert verify(city, "--lang", "en", tmp_path / "c.png") == 3
    assert "nearer" in capsys.readouterr().out


def test_a_broken_or_too_large_picture_is_grey_and_says_why(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.png"
    code(city.seal()).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    assert verify(city, "--lang", "en", path) == 3
    assert "cannot be read" in capsys.readouterr().out
    Image.new("1", (5001, 5000)).save(path)
    assert verify(city, "--lang", "en", path) == 3
    assert "25.0 megapixels" in capsys.readouterr().out


def test_only_the_wanted_type_or_zone_is_good(city: City) -> None:
    assert verify(city, "--type", "library-card", city.seal()) == 1
    assert verify(city, "--type", "resident-parking-permit", city.seal()) == 0
    assert verify(city, "--zone", "K2", city.seal()) == 2
    assert verify(city, "--zone", "mü1", city.seal()) == 0


def test_time_replaces_the_clock(city: City) -> None:
    text = city.seal()
    base = ["verify", "--trust", city.folder, text]
    assert run(*base, "--today", "2026-11-21") == 0
    assert run(*base, "--at", "2026-11-22T13:00+01:00") == 2
    assert run(*base, "--at", "2026-11-30T00:00") == 3
    assert run(*base, "--today", "2027-04-01") == 1


@pytest.mark.parametrize("changed", [
    [], ["verify"], ["verify", "x"], ["verify", "--trust", "{trust}"], ["verify", "--trust", "{trust}/none", "x"],
    ["verify", "--trust", "{trust}", "--at", "yesterday", "x"],
    ["verify", "--trust", "{trust}", "--today", "20.11.2026", "x"],
    ["verify", "--trust", "{trust}", "--at", "2026-11-20", "--today", "2026-11-20", "x"],
    ["verify", "--trust", "{trust}", "--root", "{trust}/none.pub", "x"],
    ["verify", "--trust", "{trust}", "--root", "{trust}/bundle.cwt", "x"],
    ["verify", "--trust", "{trust}", "--root", "{trust}", "x"],
    ["verify", "--trust", "{trust}", "--state", "{trust}/bundle.cwt", "x"],
    ["verify", "--trust", "{trust}", "--state", "{trust}", "x"],
    ["verify", "--trust", "{trust}", "{trust}"], ["verify", "--trust", "{trust}", "."],
    ["verify", "--trust", "{trust}", "absent.png"], ["verify", "--trust", "{trust}", "{trust}/pass.pkpass"],
    ["verify", "--trust", "{trust}", "--lang", "fr", "x"], ["verify", "--trust", "{trust}", "--wrong", "x"],
    ["check-plate", "--trust", "{trust}"], ["check-plate", "D-AB 123"], ["other"],
], ids=lambda one: " ".join(one) or "nothing")  # fmt: skip
def test_faults_of_use_are_never_a_colour(
    city: City, changed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (city.folder / "pass.pkpass").write_bytes(b"PK\3\4")
    assert run(*(one.format(trust=city.folder) for one in changed)) == 64
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.strip()
    assert "Traceback" not in found.err


def test_a_fault_of_ours_is_never_a_colour(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(inputs, "check_seal", broken)
    monkeypatch.delenv("STADTPASS_DEBUG", raising=False)
    assert verify(city, "SP1:X") == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_memory_is_kept_beside_the_lists_or_where_told(city: City, tmp_path: Path) -> None:
    old = city.folder / f"status/{LIST_NUMBER}.cwt", city.folder / "index.cwt"
    kept = [path.read_bytes() for path in old]
    city.statuses[LIST_NUMBER][permit().status_index] = Status.SUSPENDED
    city.publish(NOW + timedelta(seconds=60))
    assert verify(city, city.seal()) == 1
    assert (city.folder / ".state.json").is_file()
    for path, data in zip(old, kept, strict=True):
        path.write_bytes(data)
    assert verify(city, city.seal()) == 1
    own = tmp_path / "own.json"
    assert verify(city, "--state", own, city.seal()) != 1
    assert own.is_file()


def test_a_damaged_memory_stops_with_a_remedy(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    verify(city, city.seal())
    (city.folder / ".state.json").write_text("{")
    assert verify(city, "--lang", "en", city.seal()) == 64
    assert "delete it" in capsys.readouterr().err
    assert run("check-plate", "--trust", city.folder, *AT, "D-AB 123") == 64


def test_a_memory_that_cannot_be_written_warns_and_does_not_change_the_verdict(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "read-only")

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.mkstemp", refuse)
        assert verify(city, "--lang", "en", city.seal()) == 0
    found = capsys.readouterr()
    assert "Warning" in found.err
    assert "VALID" in found.out
    assert not (city.folder / ".state.json").exists()
    assert verify(city, "--state", city.folder / "none" / "state.json", city.seal()) == 0
    assert "--state" in capsys.readouterr().err


def test_a_named_root_and_a_swapped_one(city: City, tmp_path: Path) -> None:
    other, own = tmp_path / "other.pub", tmp_path / "own.pub"
    other.write_bytes(root_to_pem(Key().public))
    own.write_bytes(root_to_pem(city.root.public))
    assert verify(city, "--root", own, city.seal()) == 0
    assert verify(city, "--root", other, city.seal()) == 3
    assert verify(city, city.seal()) == 0
    stranger = City(city.folder).publish(NOW + timedelta(seconds=60))
    assert verify(stranger, stranger.seal()) == 3


def test_plates_on_the_command_line(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["check-plate", "--trust", city.folder, *AT]
    assert run(*base, "d ab123") == 0
    assert run(*base, "D-AB 124") == 1
    assert run(*base, "D-AB 123E") == 2
    assert run(*base, "what?") == 3
    assert run(*base, "--zone", "K2", "D-AB 123") == 2
    capsys.readouterr()
    assert run(*base, "--json", "D-AB 123", "D-AB 123E") == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["reason"], first["plates"]) == ("VALID", [PLATE.canonical])
    assert second["suggestions"] == ["D-AB 123"]


def test_test_is_shown_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = City(tmp_path, test=True).publish()
    assert verify(city, city.seal()) == 0
    assert "TEST" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "SP1:\udcff", "a/b", "x" * 100_000, "file:///etc/passwd", "--", "~"], ids=ascii
)
def test_any_text_as_an_input_is_grey_or_red(
    city: City, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(city, "--json", "--", text) in (1, 3)
    assert json.loads(capsys.readouterr().out)["number"] is None


def test_as_a_program_without_pillow_and_reader(city: City, tmp_path: Path) -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['PIL', 'zxingcpp', 'msgspec', 'qrcode']))"
    program = f"{blocked}; from verifier.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", "--trust", str(city.folder), *AT, "--json", city.seal()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid_until"] == "2027-03-31"


def test_a_picture_without_the_libraries_names_the_remedy(city: City, tmp_path: Path) -> None:
    code(city.seal()).save(tmp_path / "seal.png")
    for missing in ("PIL", "zxingcpp"):
        program = (
            f"import sys; sys.modules[{missing!r}] = None; from verifier.cli import main; sys.exit(main())"
        )
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                program,
                "verify",
                "--trust",
                str(city.folder),
                *AT,
                str(tmp_path / "seal.png"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (64, "")
        assert "pip install 'stadtpass[verifier]'" in done.stderr


def test_an_output_without_umlauts_gets_the_verdict_all_the_same(city: City) -> None:
    def output(*options: str) -> tuple[int, str, str]:
        program = "from verifier.cli import main; import sys; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", program, "verify", "--trust", str(city.folder), *AT, *options],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        return done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")

    ended, out, _ = output(city.seal())
    assert ended == 0
    assert "G?ltig" in out
    ended, out, _ = output("--json", city.seal())
    assert ended == 0
    assert json.loads(out)["zone"] == "MÜ1"
    ended, out, err = output("Prüfung.png")
    assert (ended, out) == (64, "")
    assert "Pr" in err


@pytest.mark.parametrize("hidden", ["\033]0;x\a", "\x9b31m", "\r", "\n", "\u202e", "\u2028"])
def test_what_others_chose_moves_no_terminal(
    city: City, tmp_path: Path, hidden: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"a{hidden}b"
    assert verify(city, f"{name}.png") == 64
    assert run("check-plate", "--trust", city.folder, *AT, name) == 3
    assert run("verify", "--trust", tmp_path / name, *AT, "x") == 64
    assert run("verify", "--lang", name, "x") == 64
    (tmp_path / f"{name}.json").write_text("{")
    assert verify(city, "--state", tmp_path / f"{name}.json", "x") == 64
    assert verify(city, "--state", tmp_path / name / "none", city.seal()) == 0
    found = capsys.readouterr()
    shown = found.out + found.err
    assert not set(hidden) & set(shown) - set("\n0;x31m]")
    assert f"a{hidden}" not in shown
    assert "\ufffd" in found.err


def test_a_reader_that_goes_away_is_no_colour(city: City) -> None:
    program = "from verifier.cli import main; import sys; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", program, "verify", "--trust", str(city.folder), *AT, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"x\n" * 200_000)
            process.stdin.close()
        assert process.wait() not in (0, 1, 2, 3)


def test_an_expired_bundle_is_no_trust(city: City) -> None:
    city.write_bundle(NOW - timedelta(days=366))
    assert verify(city, city.seal(issued_at=seconds(NOW - timedelta(days=370)))) == 3
