"""The project stands alone: no path of another machine, no library that checking does not need, no network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.commandline import PERMIT, ROOT, SAMPLES, TODAY, clean_environment, main_in_process, run
from tests.e2e.samples import PERMITS, suffixes, write_csv

# What only issuing needs, and what only pictures need.
ISSUING = ["sqlalchemy", "alembic", "litestar", "msgspec", "py_pkpass", "typst", "qrcode", "rich", "pkcs11"]
PICTURES = ["PIL", "zxingcpp", "numpy"]

WITHOUT = """
import sys
from importlib.machinery import PathFinder
missing = set(sys.argv.pop(1).split(","))
class Found(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in missing else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Found if one is PathFinder else one for one in sys.meta_path]
"""
OFFLINE = """
import sys
def hook(event, args):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")):
        sys.stderr.write(f"network: {event}\\n")
        raise SystemExit(99)
sys.addaudithook(hook)
"""
ISSUER_CLI = "from issuer.cli import main\nsys.exit(main(sys.argv[1:]))\n"
VERIFIER_CLI = "from verifier.cli import main\nsys.exit(main(sys.argv[1:]))\n"
GOOD = next(row["permit_id"] for row in PERMITS if row["status"] == "active" and row["plate_1"])
PLATE = next(row["plate_1"] for row in PERMITS if row["permit_id"] == GOOD)


def drive(script, *args, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        env=clean_environment(),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def checks(city, state):
    common = ["--trust", city.published, "--state", state, "--today", TODAY, "--json"]
    seal = (city.out / f"{GOOD}.seal.txt").read_text().strip()
    return ["verify", seal, *common], ["check-plate", PLATE, *common]


def project_files():
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]
    return [
        file for folder in ("keys", "passes", "verifier", "issuer") for file in (ROOT / folder).rglob("*.*")
    ]


def test_no_file_names_a_place_of_another_machine():
    roots = [rf"(?<![\w.])/{top}/" for top in ("work", "root", "tmp/v")]
    foreign = re.compile("|".join([re.escape("/".join(["..", "shared"])), *roots]).encode())
    found = [
        (str(file.relative_to(ROOT)), hit.group().decode())
        for file in project_files()
        if file.suffix != ".pyc"
        for hit in foreign.finditer(file.read_bytes())
    ]
    assert found == []


@pytest.mark.parametrize("missing", [ISSUING, ISSUING + PICTURES], ids=["verifier", "text only"])
@pytest.mark.parametrize("program", [VERIFIER_CLI, ISSUER_CLI], ids=["verifier", "issuer"])
def test_seals_and_plates_are_checked_without_the_libraries_of_issuing(demo_city, tmp_path, missing, program):
    for args in checks(demo_city, tmp_path / "state"):
        done = drive(WITHOUT + program, ",".join(missing), *args)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["reason"] == "VALID"
        assert done.stderr == ""


def test_pictures_are_checked_without_the_libraries_of_issuing(demo_city, tmp_path):
    args = ["verify", demo_city.out / f"{GOOD}.png", "--trust", demo_city.published, "--state", tmp_path / "s",
            "--today", TODAY, "--json"]  # fmt: skip
    done = drive(WITHOUT + VERIFIER_CLI, ",".join(ISSUING), *args)
    assert (done.returncode, json.loads(done.stdout)["number"]) == (0, GOOD), done.stderr
    blind = drive(WITHOUT + VERIFIER_CLI, ",".join(ISSUING + PICTURES), *args)
    assert blind.returncode not in range(4)
    assert len(blind.stderr.splitlines()) == 1


def test_an_installation_for_checking_says_how_to_get_the_rest(tmp_path):
    for args in (["issue", PERMIT, "x.csv", "--data", tmp_path], ["init", "--data", tmp_path / "d"]):
        done = drive(WITHOUT + ISSUER_CLI, ",".join(ISSUING), *args)
        assert done.returncode == 64
        assert "Traceback" not in done.stderr
    usage = drive(WITHOUT + ISSUER_CLI, ",".join(ISSUING), "--help")
    assert usage.returncode == 0 and "stadtpass[issuer]" in usage.stdout


def test_checking_opens_no_connection(demo_city, tmp_path):
    picture = ["verify", demo_city.out / f"{GOOD}.png", "--trust", demo_city.published,
               "--state", tmp_path / "state", "--today", TODAY]  # fmt: skip
    for args in (*checks(demo_city, tmp_path / "state"), picture):
        done = drive(OFFLINE + ISSUER_CLI, *args)
        assert done.returncode == 0, done.stderr


def test_the_hook_would_have_seen_a_connection():
    done = drive(OFFLINE + "import socket\nsocket.socket().connect(('127.0.0.1', 9))\n")
    assert done.returncode == 99


def test_issuing_and_publishing_open_no_connection(fresh_city, tmp_path):
    file = write_csv(tmp_path / "one.csv", PERMITS[:3])
    common = ["--data", fresh_city.data, "--today", TODAY]
    for args in (
        ["issue", PERMIT, file, "--out", fresh_city.out, *common],
        ["publish", "--out", fresh_city.published, *common],
    ):
        done = drive(OFFLINE + ISSUER_CLI, *args)
        assert done.returncode == 0, done.stderr


def test_the_working_folder_and_odd_paths_do_not_matter(tmp_path):
    """Relative paths, a folder with spaces and umlauts, and nothing written anywhere else."""
    home = tmp_path / "Mein Büro; ä'\" %20"
    home.mkdir()
    file = write_csv(home / "zwei Sätze.csv", PERMITS[:2])
    for args in (
        ["init", "--demo", "--data", "Daten ü"],
        ["issue", PERMIT, file.name, "--data", "Daten ü", "--out", "aus gabe", "--today", TODAY],
        ["publish", "--data", "Daten ü", "--out", "netz/aus hang", "--today", TODAY],
        ["verify", f"aus gabe/{PERMITS[0]['permit_id']}.png", "--trust", "netz/aus hang", "--today", TODAY],
    ):
        done = run(*args, cwd=home)
        assert done.returncode == 0, done.stderr
    assert sorted(entry.name for entry in home.iterdir()) == ["Daten ü", "aus gabe", "netz", "zwei Sätze.csv"]
    assert suffixes(home / "aus gabe", PERMITS[0]["permit_id"])


@pytest.mark.slow
def test_the_demo_works_with_the_clock_of_today(tmp_path):
    """Without --at: the keys are valid now, and the passes of the samples are made."""
    data, out, published = tmp_path / "data", tmp_path / "out", tmp_path / "published"
    file = write_csv(tmp_path / "some.csv", [row for row in PERMITS if row["status"] == "active"][:3])
    for args in (
        ["init", "--demo", "--data", data],
        ["issue", PERMIT, file, "--data", data, "--out", out],
        ["publish", "--data", data, "--out", published],
    ):
        done = run(*args)
        assert done.returncode == 0, done.stderr
    seals = [file.read_text().strip() for file in out.glob("*.seal.txt")]
    assert len(seals) == 3
    done = run("verify", *seals, "--trust", published, "--json")
    reasons = {json.loads(line)["reason"] for line in done.stdout.splitlines()}
    assert reasons <= {"VALID", "EXPIRED", "NOT_YET_VALID", "OUT_OF_SEASON"}


@pytest.mark.parametrize("days", [-390, 400])
def test_the_demo_works_long_before_and_after_today(tmp_path, days):
    data, out, published = tmp_path / "data", tmp_path / "out", tmp_path / "published"
    day = (datetime.now(UTC) + timedelta(days=days)).date()
    last = day + timedelta(days=364)
    row = PERMITS[0] | {
        "valid_from": day.isoformat(), "valid_to": last.isoformat(), "term_months": "", "fee_cents": "",
        "issued_on": "",
    }  # fmt: skip
    file = write_csv(tmp_path / "one.csv", [row])
    at = ("--today", day.isoformat())
    for args in (
        ["init", "--demo", "--data", data],
        ["issue", PERMIT, file, "--data", data, "--out", out, *at],
        ["publish", "--data", data, "--out", published, *at],
        ["verify", out / f"{row['permit_id']}.png", "--trust", published, *at],
    ):
        done = main_in_process(*args)
        assert done.code == 0, done.stderr + done.stdout


def test_the_demo_has_the_tables_of_the_samples():
    for name in ("zones.csv", "fees.csv"):
        assert (ROOT / "issuer" / "demo_data" / name).read_bytes() == (SAMPLES / name).read_bytes()
