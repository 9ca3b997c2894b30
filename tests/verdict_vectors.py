"""The vectors that every verifier of the format must agree on: published files, a code or plate, a time, the answer.

``python -m tests.verdict_vectors`` makes them anew, with fresh keys. The Python verifier gives the expected answers;
its own tests say that they are right, and reading the difference between old and new vectors is part of a change.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from keys import es256
from keys.identity import spki_der
from passes import base45
from passes.periods import Period
from passes.plates import Plate
from passes.rotating import pass_key, totp
from passes.seal import SealedPerson
from passes.seasons import Season
from passes.status_list import Status
from tests.trust_factory import (
    DAY,
    HOUR,
    LIBRARY,
    LIST_NUMBER,
    NOW,
    PERMIT,
    City,
    Key,
    permit,
    seconds,
)  # fmt: skip
from verifier.plate_check import check_plate
from verifier.seal_check import CheckSettings, check_seal
from verifier.state import State, load_state
from verifier.trust import load_trust
from verifier.verdict import Verdict

FILE = Path(__file__).parent / "data" / "vectors" / "verdicts.json"
EPOCH_KEY = bytes(range(32))
Json = dict[str, Any]

# Around every limit of the default ttls and expiries.
TIMES = {
    "now": 0,
    "clock a minute behind": -60,
    "clock an hour behind": -HOUR,
    "lists as old as they may be": DAY,
    "lists stale": DAY + 1,
    "plates expired": 2 * DAY,
    "lists expired": 7 * DAY,
    "bundle stale": 90 * DAY + 1,
    "period over": 132 * DAY,
    "bundle expired": 365 * DAY,
}


def folder_files(folder: Path) -> dict[str, str]:
    """Everything that is published in ``folder``, base64 by name."""
    return {
        str(file.relative_to(folder)): base64.b64encode(file.read_bytes()).decode()
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".cwt", ".pub")
    }


class Maker:
    """Collects sets of published files and cases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sets: dict[str, dict[str, str]] = {}
        self.cases: list[Json] = []

    def publish(self, name: str, city: City, spoil: Callable[[Path], None] | None = None) -> None:
        """Take the city's folder as the set ``name``; ``spoil`` does to it what should not happen."""
        city.publish()
        if spoil is not None:
            spoil(city.folder)
        self.sets[name] = folder_files(city.folder)

    def case(self, name: str, files: str, kind: str, text: str, at: int = 0, **options: Any) -> None:
        """One question; its answer is that of the Python verifier."""
        case = {"name": name, "set": files, "kind": kind, "text": text, "now": seconds(NOW) + at, **options}
        case["expect"] = answer(case, self.sets[files], self.folder / "check")
        self.cases.append(case)


def state_of(memory: Json | None, folder: Path) -> State:
    """The memory of a case as the verifier reads it."""
    if memory is None:
        return State()
    file = folder / "memory.json"
    file.write_text(json.dumps(memory))
    return load_state(file)


def verdict_of(case: Json, files: dict[str, str], folder: Path) -> Callable[[str], Verdict]:
    """What the Python verifier says to ``case``, in a language."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(base64.b64decode(data))
    at = datetime.fromtimestamp(case["now"], NOW.tzinfo)
    trust = load_trust(folder, state_of(case.get("memory"), folder))
    settings = CheckSettings(case.get("zone"), tuple(case.get("merged", ())), case.get("type"))
    if case["kind"] == "seal":
        return lambda _language: check_seal(case["text"], trust, at, settings)
    return lambda language: check_plate(case["text"], trust, at, settings, language)


def answer(case: Json, files: dict[str, str], folder: Path) -> Json:
    """The contract's JSON in German, and the sentence in English."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        verdict = verdict_of(case, files, Path(place))
        return {"de": verdict("de").as_json("de"), "en": verdict("en").message("en")}


def make() -> Json:
    """All sets and cases."""
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(Path(folder))
        fill(maker)
    return {"sets": maker.sets, "cases": maker.cases}


def fill(maker: Maker) -> None:
    city = the_city(maker.folder / "good")
    demo = the_city(maker.folder / "demo", test=True)
    for name, one in (("good", city), ("demo", demo)):
        # Making the codes names keys, so it comes before publishing.
        codes = list(seals(one))
        maker.publish(name, one)
        for what, text, options in codes:
            for when, at in TIMES.items():
                if name == "good" or when in ("now", "lists stale"):
                    maker.case(f"{what}, {when}", name, "seal", text, at, **options)
        for what, text, options in plates():
            for when, at in TIMES.items():
                if name == "good" or when in ("now", "lists stale"):
                    maker.case(f"{what}, {when}", name, "plate", text, at, **options)
    faulty_sets(maker)
    memories(maker, city)


def the_city(folder: Path, *, test: bool = False) -> City:
    """A city with something of everything."""
    city = City(folder, test=test)
    city.epoch_keys = {1: bytes(32), 2: EPOCH_KEY}
    city.statuses[LIST_NUMBER] = {1: Status.INVALID, 2: Status.SUSPENDED, 3: Status.SUPERSEDED}
    city.types[PERMIT] = replace(city.types[PERMIT], paper_without_plate=True)
    for plate, changes in (
        ("D-AB 123", {}),
        ("D-AB 124E", {}),
        ("D-X 1", {"zone": "CITY"}),
        ("D-X 2", {"season": Season(4, 10)}),
        ("D-X 3", {"season": Season(10, 3)}),
        ("D-X 4", {"period": Period(date(2025, 11, 20), date(2026, 11, 19))}),
        ("D-X 5", {"period": Period(date(2026, 11, 21), date(2027, 11, 20))}),
        ("D-X 6", {"status": Status.SUSPENDED}),
        ("D-X 7", {"zone": "CITY"}),
        ("D-X 7", {"zone": "MÜ1"}),
        ("UE-MA 123", {}),
        ("UEM-A 123", {}),
        ("D-IO 10", {}),
    ):
        city.list_plate(Plate.from_canonical(plate), **changes)
    return city


def seals(city: City) -> Iterator[tuple[str, str, Json]]:
    """Codes of every kind: what it is, its text, what the person checking has chosen."""
    good = city.seal()
    yield "a good permit", good, {}
    yield "a permit in its zone", good, {"zone": "mü1"}
    yield "a permit in another zone", good, {"zone": "CITY"}
    yield "a permit of the type asked for", good, {"type": "resident-parking-permit"}
    yield "a permit where library cards are checked", good, {"type": "library-card"}
    for index, what in ((1, "revoked"), (2, "suspended"), (3, "superseded")):
        yield f"a permit that was {what}", city.seal(status_index=index), {}
    yield "a permit whose index no list has", city.seal(status_index=1 << 20), {}
    yield "a permit of a list that nobody knows", city.seal(status_list=99), {}
    yield "a permit that has ended", city.seal(expires=seconds(NOW) - HOUR), {}
    yield "a permit in its last second", city.seal(expires=seconds(NOW) + 1), {}
    yield "a permit that begins later", city.seal(not_before=seconds(NOW) + 1), {}
    two = (Plate("D", "AB", "123"), Plate("D", "AB", "124", "E"))
    yield "two plates, one out of season", city.seal(plates=two, seasons=(Season(4, 10), None)), {}
    yield "two plates in season", city.seal(plates=two, seasons=(None, Season(10, 3))), {}
    yield "car sharing", city.seal(plates=(), organisation="Teilauto e. V. Düsseldorf"), {}
    yield "changing vehicles", city.seal(plates=()), {}
    card = {"type_code": LIBRARY, "plates": (), "zone": None, "card_number": "69JGQN"}
    yield "a library card", city.seal(**card), {}
    yield "a library card where a zone was chosen", city.seal(**card), {"zone": "CITY"}
    person = SealedPerson("Dr. Ömür Özdağ-Müller", date(1984, 2, 29), ("Große Straße 7", "40213 Düsseldorf"))
    proof = {"plates": (), "zone": None, "person": person}
    yield "a proof of a person", city.seal(**proof), {}
    yield "a proof of a person that was revoked", city.seal(**proof, status_index=1), {}
    yield "further keys", city.seal(further={8: "Straße", 9: 5, 255: True}), {}
    yield from keys(city)
    yield from rotating(city, good)
    yield from damaged(good)


def keys(city: City) -> Iterator[tuple[str, str, Json]]:
    yield "a key that nobody knows", city.seal(key=Key()), {}
    for what, changes in (
        ("revoked", {"state": "revoked"}),
        ("retired", {"state": "retired"}),
        ("a test key", {"test": True}),
        ("for library cards only", {"pass_types": frozenset({LIBRARY})}),
        ("no longer valid then", {"not_after": seconds(NOW) - 300 * DAY}),
        ("a list key", {"purpose": "list"}),
    ):
        key = Key()
        city.name_key(key, "seal", (PERMIT, LIBRARY))
        city.set_key(key, **changes)
        yield f"a key that is {what}", city.seal(key=key), {}
    city.name_key(unnamed := Key(), "seal", (PERMIT, 9))
    yield "a type that nobody knows", city.seal(key=unnamed, type_code=9), {}
    # Signed with a key of one's own under the city's key id.
    forger = Key()
    forger.kid = city.seal_key.kid
    yield "forged", city.seal(key=forger), {}


def rotating(city: City, good: str) -> Iterator[tuple[str, str, Json]]:
    token, number = good.removeprefix("SP1:"), permit().number
    for what, shown in (("just now", -20), ("a day ago", -DAY)):
        at = seconds(NOW) + shown
        digits = totp(pass_key(EPOCH_KEY, number), at)
        yield f"a rotating code of {what}", f"SP1R:{at}:{digits}:{token}", {}
        yield f"a rotating code of {what} with other digits", f"SP1R:{at}:{int(digits) ^ 1:08d}:{token}", {}
    yield "a rotating code without digits", f"SP1R:{seconds(NOW)}::{token}", {}
    yield "a rotating code with a leading zero", f"SP1R:0{seconds(NOW)}:12345678:{token}", {}


def damaged(good: str) -> Iterator[tuple[str, str, Json]]:
    token = base45.decode(good.removeprefix("SP1:"))
    r, s = token[-64:-32], int.from_bytes(token[-32:], "big")
    for what, text in (
        ("nothing", ""),
        ("a web address", "https://phishing.example/SP1:"),
        ("another prefix", "HC1:" + good.removeprefix("SP1:")),
        ("lower case", good.lower()),
        ("the prefix alone", "SP1:"),
        ("a character more", good + "0"),
        ("a space before it", " " + good),
        ("a line feed behind it", good + "\n"),
        ("cut off", good[:-3]),
        ("very long", "SP1:" + "0" * 3000),
        ("an umlaut", good[:50] + "Ä" + good[51:]),
        ("the other s", "SP1:" + base45.encode(token[:-64] + r + (es256.ORDER - s).to_bytes(32, "big"))),
        ("a byte behind it", "SP1:" + base45.encode(token + b"\0")),
        ("no tag", "SP1:" + base45.encode(token[1:])),
        ("a content that was changed", "SP1:" + base45.encode(token.replace(b"D-AB 123", b"D-AB 124"))),
    ):
        yield what, text, {}


def plates() -> Iterator[tuple[str, str, Json]]:
    """Plates as they are typed."""
    for text, options in (
        ("D-AB 123", {}),
        ("d ab 123", {}),
        ("D-AB 123", {"zone": "CITY"}),
        ("D-AB 123E", {}),
        ("D-AB 124", {}),
        ("D-AB 124H", {}),
        ("D-ZZ 9999", {}),
        ("D-X 1", {"zone": "MÜ1"}),
        ("D-X 1", {"zone": "city"}),
        ("D-X 2", {}),
        ("D-X 3", {}),
        ("D-X 4", {}),
        ("D-X 5", {}),
        ("D-X 6", {}),
        ("D-X 7", {"zone": "CITY"}),
        ("UEMA 123", {}),
        ("UE-MA 123", {}),
        ("D-IO 10", {}),
        ("D-1O I0", {}),
        ("D-lO 10", {}),
        ("D-AB 0123", {}),
        ("DAB123", {}),
        ("D-AB 123 (04-10)", {}),
        ("D-AB 123 (13-10)", {}),
        ("", {}),
        ("XYZ-AB 1", {}),
        ("BP 16-12", {}),
        ("0-17-1", {}),
        ("D-AB 123\u200b", {}),
        ("D-АВ 123", {}),
        ("D-ß 1", {}),
        ("D-AB 12345", {}),
        ("D-AB 123EH", {}),
        ("A" * 41, {}),
    ):
        chosen = f" in zone {options['zone']}" if options else ""
        yield f"plate {text!r}{chosen}", text, options


def faulty_sets(maker: Maker) -> None:
    """Files that are missing, damaged, foreign or exchanged."""

    def gone(name: str) -> Callable[[Path], None]:
        return lambda folder: (folder / name).unlink()

    def flipped(name: str, place: int) -> Callable[[Path], None]:
        def flip(folder: Path) -> None:
            data = bytearray((folder / name).read_bytes())
            data[place] ^= 1
            (folder / name).write_bytes(data)

        return flip

    def cut(name: str) -> Callable[[Path], None]:
        return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-5]) and None

    status = f"status/{LIST_NUMBER}.cwt"
    for name in ("root.pub", "bundle.cwt", "index.cwt", status, "plates.cwt"):
        spoiled = {f"without {name}": gone(name)}
        if name != "root.pub":
            # The last byte is one of the signature; the 150th of the content.
            spoiled |= {
                f"{name} with a bit of its signature flipped": flipped(name, -1),
                f"{name} with a bit of its content flipped": flipped(name, 150),
                f"{name} cut off": cut(name),
            }
        for what, spoil in spoiled.items():
            ask_both(maker, what, the_city(maker.folder / what.replace("/", " ")), spoil)
    other = the_city(maker.folder / "other city").publish()
    for name in ("bundle.cwt", "index.cwt", status, "plates.cwt"):
        foreign = (other.folder / name).read_bytes()
        what = f"{name} of another city"
        city = the_city(maker.folder / what.replace("/", " "))
        ask_both(maker, what, city, lambda folder, n=name, d=foreign: (folder / n).write_bytes(d) and None)  # type: ignore[misc]
    city = the_city(maker.folder / "exchanged lists")
    city.statuses[18] = {}
    first, second = f"status/{LIST_NUMBER}.cwt", "status/18.cwt"
    ask_both(
        maker, "two status lists exchanged", city, lambda folder: exchange(folder / first, folder / second)
    )
    revoked = the_city(maker.folder / "list key revoked")
    revoked.set_key(revoked.list_key, state="revoked")
    ask_both(maker, "the list key revoked", revoked)
    paper = the_city(maker.folder / "paper required")
    paper.types[PERMIT] = replace(paper.types[PERMIT], paper_required=True)
    ask_both(maker, "the print has to lie in the car", paper)
    newer = the_city(maker.folder / "a list newer than its index")

    def newer_list(folder: Path) -> None:
        index = (folder / "index.cwt").read_bytes()
        newer.write_lists(NOW, seconds(NOW) * 1000 + 5)
        (folder / "index.cwt").write_bytes(index)

    ask_both(maker, "a list newer than its index", newer, newer_list)
    older = the_city(maker.folder / "a list older than its index")

    def older_list(folder: Path) -> None:
        old = (folder / status).read_bytes()
        older.write_lists(NOW, seconds(NOW) * 1000 + 5)
        (folder / status).write_bytes(old)

    ask_both(maker, "a list older than its index", older, older_list)


def exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def ask_both(
    maker: Maker, what: str, city: City, spoil: Callable[[Path], None] | None = None, **more: Any
) -> None:
    """A seal and a plate in the set ``what``."""
    maker.publish(what, city, spoil)
    maker.case(f"a good permit, {what}", what, "seal", city.seal(), **more)
    maker.case(f"a revoked permit, {what}", what, "seal", city.seal(status_index=1), **more)
    maker.case(f"a plate, {what}", what, "plate", "D-AB 123", **more)


def memories(maker: Maker, city: City) -> None:
    """What a device remembers: roots, sequences, statuses."""
    root = spki_der(city.root.public).hex()
    sequence, issued = seconds(NOW) * 1000, seconds(NOW)

    def remembered(root: str | None = root, seen: Json | None = None, **lists: list[int]) -> Json:
        return {
            "version": 1,
            "root": root,
            "lists": {k.replace("_", "/"): v for k, v in lists.items()},
            "seen": seen or {},
        }

    later = [sequence + 1, issued]
    good = city.seal()
    place = f"{LIST_NUMBER}:{permit().status_index}"
    for what, memory in (
        ("the root pinned", remembered()),
        ("another root pinned", remembered(spki_der(Key().public).hex())),
        ("a newer bundle seen", remembered(bundle=later)),
        ("a newer index seen", remembered(index=later)),
        ("a newer status list seen", remembered(**{f"status_{LIST_NUMBER}": later})),
        ("a newer plate list seen", remembered(plates=later)),
        (
            "the same seen",
            remembered(bundle=[sequence, issued], index=[sequence, issued], plates=[sequence, issued]),
        ),
        ("a time in an hour seen", remembered(index=[sequence, issued + HOUR])),
        ("revoked in a newer list", remembered(seen={place: [1, sequence + 1]})),
        ("suspended in this list's like", remembered(seen={place: [2, sequence]})),
        ("revoked in an older list", remembered(seen={place: [1, sequence - 1]})),
    ):
        maker.case(f"a good permit, {what}", "good", "seal", good, memory=memory)
        maker.case(f"a good permit, {what}, lists stale", "good", "seal", good, DAY + 1, memory=memory)
        maker.case(f"a plate, {what}", "good", "plate", "D-AB 123", memory=memory)
    new_root = Key()
    moved = the_city(maker.folder / "new root")
    pinned = remembered(spki_der(moved.root.public).hex())

    def endorsed(folder: Path) -> None:
        moved.write_bundle(root=new_root, previous_root=moved.root)

    ask_both(maker, "a new root that the pinned one endorsed", moved, endorsed, memory=pinned)
    usurped = the_city(maker.folder / "usurped root")
    pinned = remembered(spki_der(usurped.root.public).hex())

    def not_endorsed(folder: Path) -> None:
        usurped.write_bundle(root=new_root, previous_root=Key())

    ask_both(maker, "a new root that another one endorsed", usurped, not_endorsed, memory=pinned)


def main() -> None:
    """Write the file."""
    made = make()
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in made["cases"])
    sets = json.dumps(made["sets"], separators=(",", ":"))
    FILE.write_text(f'{{"sets":{sets},\n"cases":[\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
