"""The examples for systemd and nginx are accepted by those who read them, and fit the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from issuer.apply.forms import LONGEST_UPLOAD
from issuer.cli import build_parser
from issuer.configuration import Config
from issuer.web.limits import BODY_LIMITS, LARGEST_BODY, MIB

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = sorted(one for one in SYSTEMD.iterdir() if one.suffix in (".service", ".timer"))
NGINX = (ROOT / "deploy" / "nginx" / "stadtpass.conf").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.name)
def test_units(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / "stadtpass"
    program.touch(0o755)
    for one in UNITS:
        text = one.read_text().replace("/opt/stadtpass/bin/stadtpass", str(program))
        (tmp_path / one.name.replace("@", "@2")).write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name.replace("@", "@2")],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in checked.stderr.splitlines() if "stadtpass" in line]
    assert (checked.returncode, found) == (0, [])


@pytest.mark.parametrize(
    "unit", [one for one in UNITS if "/bin/stadtpass " in one.read_text()], ids=lambda one: one.name
)
def test_the_commands_in_units_exist(unit: Path) -> None:
    text = unit.read_text().replace("%H", "host").replace("%i", "2").replace("%%", "%")
    (command,) = re.findall(r"stadtpass/bin/stadtpass ([^'\n]+)", text)
    words = [word.strip('"') for word in re.sub(r"\$\([^)]*\)", "now", command).split()]
    arguments = build_parser(words[0]).parse_args(words)
    assert arguments.data == Path("/var/lib/stadtpass/data")


def test_a_backup_that_fails_is_told() -> None:
    (unit,) = re.findall(
        r"^OnFailure=(.+)$", (SYSTEMD / "stadtpass-backup.service").read_text(), re.MULTILINE
    )
    (mailing,) = re.findall(r"^ExecStart=/bin/sh -c '(.+)'$", (SYSTEMD / unit).read_text(), re.MULTILINE)
    command = mailing.replace("%%", "%").replace("%H", "host").replace("/usr/sbin/sendmail -t", "cat")
    for address, wanted in (("it@city.example", "To: it@city.example\nSubject: "), ("", "")):
        told = subprocess.run(
            ["/bin/sh", "-c", command],
            env={"ALERT_MAIL": address},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.startswith(wanted)
        assert bool(told.stdout) == bool(wanted)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx")
def test_nginx_takes_the_example(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pass.musterstadt.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    site = NGINX.replace("/etc/ssl/stadtpass", str(tmp_path)).replace("/var/log/nginx", str(tmp_path))
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\nhttp {{ include {tmp_path}/site.conf; }}\n"
    )
    checked = subprocess.run(
        ["nginx", "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


def test_nginx_lets_through_what_the_service_takes() -> None:
    assert f"client_max_body_size {LARGEST_BODY // MIB}m;" in NGINX
    register = NGINX.partition("location = /office/imports/upload {")[2].partition("}")[0]
    assert f"client_max_body_size {dict(BODY_LIMITS)['/office/imports/upload'] // MIB}m;" in register
    evidence = NGINX.partition("location = /apply/documents {")[2].partition("}")[0]
    assert f"client_max_body_size {-(-LONGEST_UPLOAD // MIB)}m;" in evidence
    # The caller must not be able to add to it.
    assert "X-Forwarded-For $remote_addr" in NGINX
    assert "$proxy_add_x_forwarded_for" not in NGINX
    assert not re.search(r"\$request\b|\$request_uri(?!;)|\$remote_addr [^;]*'", NGINX.split("upstream")[0])


def test_every_setting_is_in_the_manual_with_its_default() -> None:
    def shown(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return f'"{value}"'
        return "[]" if value == () else f"{value:g}" if isinstance(value, float) else str(value)

    wanted = {}

    def add(section: msgspec.Struct, prefix: str) -> None:
        for name in section.__struct_fields__:
            value = getattr(section, name)
            if isinstance(value, msgspec.Struct):
                add(value, f"{prefix}{name}.")
            else:
                wanted[prefix + name] = shown(value)

    add(Config(), "")
    manual = (ROOT / "docs" / "operation.md").read_text().split("## Configuration")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \| \S", manual, re.MULTILINE)) == wanted
