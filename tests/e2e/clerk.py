"""An office at its command line: one installation, commands with its data folder and a time."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.commandline import LIBRARY, PERMIT, DemoCity, Outcome, main_in_process
from tests.e2e.device import NOON, Device
from tests.e2e.samples import MEMBERS, PERMITS, write_csv


@dataclass(frozen=True)
class Clerk:
    """Works on ``city``; every command gets its folder, ``--at`` and English sentences."""

    city: DemoCity
    at: str = NOON

    def __call__(self, *args: object, at: str | None = None) -> Outcome:
        common = ("--data", self.city.data, "--at", at or self.at, "--lang", "en")
        return main_in_process(*args, *common)

    def done(self, *args: object, at: str | None = None) -> str:
        """What a command that must succeed prints."""
        outcome = self(*args, at=at)
        assert outcome.code == 0, outcome.stderr
        return outcome.stdout

    def refused(self, *args: object, at: str | None = None) -> str:
        """The one sentence with which a command is refused: exit code 64, nothing printed, no trace."""
        outcome = self(*args, at=at)
        assert outcome.code == 64, outcome
        assert outcome.stdout == ""
        (sentence,) = outcome.stderr.splitlines()
        assert "Traceback" not in sentence
        return sentence

    def publish(self, *, at: str | None = None, out: Path | None = None) -> None:
        self.done("publish", "--out", out or self.city.published, at=at)

    def publish_aside(self, name: str, *, at: str | None = None) -> Path:
        """Publish, and keep what was published under another name."""
        self.publish(at=at)
        return Path(shutil.copytree(self.city.published, self.city.folder / name))

    def key_list(self, purpose: str | None = None) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.done("keys", "list", "--json").splitlines()]
        return [one for one in found if purpose in (None, one["purpose"])]

    def add_key(self, purpose: str, *more: object, at: str | None = None) -> str:
        return self.done("keys", "add", purpose, *more, at=at).strip()

    def add_working_key(self, purpose: str, *more: object, at: str | None = None) -> str:
        """A key that is made, published and active."""
        kid = self.add_key(purpose, *more, at=at)
        self.publish(at=at)
        self.done("keys", "activate", kid, at=at)
        return kid

    def show(self, number: str, *more: object) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.done("show", number, "--json", *more))
        return shown

    def seal(self, number: str) -> str:
        """The seal that the register holds now."""
        return str(self.show(number)["seal"])

    def issue_permits(self, *changes: dict[str, str], at: str | None = None, carriers: str = "seal") -> None:
        """Issue permits that are the first sample with ``changes``; numbers are P-1, P-2, ..."""
        rows = [
            PERMITS[0] | {"permit_id": f"P-{place}", "holder_ref": f"H{place}", "given_name": "Kim"} | change
            for place, change in enumerate(changes, start=1)
        ]
        file = write_csv(self.city.folder / "rows.csv", rows)
        self.done("issue", PERMIT, file, "--out", self.city.out, "--carriers", carriers, at=at)

    def issue_members(self, *changes: dict[str, str], at: str | None = None) -> None:
        """Issue library cards that are the samples' second and following members with ``changes``."""
        rows = [MEMBERS[place] | change for place, change in enumerate(changes, start=1)]
        file = write_csv(self.city.folder / "members.csv", rows)
        self.done("issue", LIBRARY, file, "--out", self.city.out, "--carriers", "seal", at=at)

    def device(self, name: str = "device", trust: Path | None = None) -> Device:
        """A device with a memory of its own."""
        return Device(trust or self.city.published, self.city.folder / f"{name}.json")
