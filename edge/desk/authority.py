"""A small certificate authority in a folder: who may speak for which drone.

One folder a machine comes of it: `broker/`, `desk/`, and `drones/<id>/`, each whole, to be copied
there.  `authority/` stays at home: who has its key can speak for anyone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.errors import KeysError, ProtocolError
from edge.protocol.topics import check_drone_id

DESK: Final = "desk"
BROKER: Final = "broker"
DASHBOARD: Final = "dashboard"
_OTHERS: Final = (BROKER, DASHBOARD)  # names that the ACL or the authority itself uses
# A computer without a clock of its own starts in the past, and must reach the broker even so: what
# is checked there is the end of a certificate, on a machine that knows the date.
VALID_FROM: Final = datetime(1970, 1, 2, tzinfo=timezone.utc)
AUTHORITY_DAYS: Final = 3650
_HOST: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SECRET_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that the authority has made."""

    name: str
    serial: int
    not_after: datetime
    is_revoked: bool


class Authority:
    """The authority that lies in a folder.

    Args:
        folder: Where `create` has made it.

    Raises:
        KeysError: There is none, or its files cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = folder / "authority"
        try:
            self._key = _read_key(home / "ca.key")
            self.certificate = x509.load_pem_x509_certificate((home / "ca.crt").read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise KeysError(
                f"{folder}: holds no authority that can be used ({error}); make one with "
                f"`skywhistle keys init {folder} --broker HOST`"
            ) from error

    @classmethod
    def create(cls, folder: Path, hosts: list[str], now: datetime, days: int) -> Authority:
        """Make an authority, and certificates for the broker and the desk.

        Args:
            folder: Must not hold one already: a second would lock out what the first has let in.
            hosts: Names and addresses under which drones and desk reach the broker.
            now: The date.
            days: How long the broker's and the desk's certificates hold.

        Raises:
            KeysError: There is one already, no host is given, or the disk refuses.
        """
        if (folder / "authority").exists():
            raise KeysError(
                f"{folder}: holds an authority already; add drones to it with "
                f"`skywhistle keys drone {folder} ID`, or give another folder"
            )
        if not hosts:
            raise KeysError("a broker needs a name or an address: give --broker HOST")
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Skywhistle authority {os.urandom(4).hex()}")
        certificate = (
            _begun(name, name, key.public_key(), now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_secret(folder / "authority" / "ca.key", _key_bytes(key))
        _write(folder / "authority" / "ca.crt", _pem(certificate))
        _write_signing_pair(
            folder / "authority" / "config.key", folder / "authority" / "config.pub"
        )
        authority = cls(folder)
        authority.write_revocations(now)
        authority.issue_broker(now, days, hosts)
        authority.issue_desk(now, days)
        authority.make_desk_keys(now)
        return authority

    def issue_broker(self, now: datetime, days: int, hosts: list[str] | None = None) -> Path:
        """Make the broker's certificate: what the aircraft and the desk check it by.

        Args:
            now: The date.
            days: How long it holds.
            hosts: Names and addresses; None: those of its former certificate.

        Returns:
            The folder.

        Raises:
            KeysError: A bad name, no former certificate, or the disk refuses.
        """
        chosen = self.broker_hosts() if hosts is None else hosts
        names = x509.SubjectAlternativeName([_general_name(host) for host in chosen])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        folder = self.folder / BROKER
        self._issue(folder, BROKER, usage, now + timedelta(days=days), names)
        return folder

    def issue_desk(self, now: datetime, days: int) -> Path:
        """Make the desk's certificate; returns its folder."""
        return self._issue_client(DESK, now, days)

    def issue_dashboard(self, now: datetime, days: int) -> Path:
        """Make a certificate for who only reads what the desk has committed; returns the folder."""
        return self._issue_client(DASHBOARD, now, days)

    def make_desk_keys(self, now: datetime) -> None:
        """Make the keys that sign commands and acks, and those that originals are sealed to.

        A former originals.key stays beside the new one: what was sealed to it opens by no other.
        """
        folder = self.folder / DESK
        former = folder / "originals.key"
        if former.exists():
            former.replace(folder / f"originals.until-{now:%Y%m%dT%H%M%S}.key")
        _write_signing_pair(folder / "command.key", folder / "command.pub")
        _write_signing_pair(folder / "ack.key", folder / "ack.pub")
        _write_sealing_pair(folder / "originals.key", folder / "originals.pub")

    def _issue_client(self, name: str, now: datetime, days: int) -> Path:
        folder = self.folder / name
        self._issue(folder, name, ExtendedKeyUsageOID.CLIENT_AUTH, now + timedelta(days=days))
        return folder

    def issue_drone(self, drone_id: str, now: datetime, days: int) -> Path:
        """Make a drone's folder: certificate, key to sign alerts with, whose commands it obeys.

        Returns:
            The folder.

        Raises:
            KeysError: A bad id, one that has a valid certificate already, or the disk refuses.
        """
        try:
            check_drone_id(drone_id)
        except ProtocolError as error:
            raise KeysError(str(error)) from error
        if drone_id in _OTHERS:
            raise KeysError(
                f"{drone_id!r} is no drone's name: the broker's ACL gives it to another"
            )
        valid = [one for one in self.issued() if one.name == drone_id and not one.is_revoked]
        if any(one.not_after > now for one in valid):
            raise KeysError(
                f"{drone_id} has a certificate already, until {valid[-1].not_after:%Y-%m-%d}; "
                f"where it is lost, first `skywhistle keys revoke {self.folder} {drone_id}`"
            )
        folder = self.folder / "drones" / drone_id
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        self._issue(folder, drone_id, usage, now + timedelta(days=days))
        desk = self.folder / DESK
        if not (desk / "ack.pub").exists():  # an authority made before acks were signed
            _write_signing_pair(desk / "ack.key", desk / "ack.pub")
        for name in ("command.pub", "ack.pub", "originals.pub"):
            _write(folder / name, (desk / name).read_bytes())
        _write(folder / "config.pub", (self.folder / "authority" / "config.pub").read_bytes())
        public = self.folder / DESK / "drones" / f"{drone_id}.pub"
        if public.exists():  # what it has signed so far is verified by that key
            public.replace(public.with_name(f"{drone_id}.until-{now:%Y%m%dT%H%M%S}.pub"))
        _write_signing_pair(folder / "sign.key", public)
        return folder

    def broker_hosts(self) -> list[str]:
        """Return the names and addresses that the broker's certificate holds.

        Raises:
            KeysError: It is not here, or cannot be read.
        """
        path = self.folder / BROKER / "broker.crt"
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise KeysError(
                f"{path}: cannot be read ({error}); leave a copy of the broker's folder here"
            ) from error
        return [str(name.value) for name in names.value]

    def revoke(self, name: str, now: datetime) -> int:
        """Withdraw every certificate of a name; the broker must read the new list.

        Returns:
            How many were withdrawn.

        Raises:
            KeysError: There is none of this name.
        """
        found = [one for one in self.issued() if one.name == name]
        if not found:
            known = ", ".join(sorted({one.name for one in self.issued()}))
            raise KeysError(f"{self.folder}: no certificate is of {name!r}; there are: {known}")
        fresh = [one for one in found if not one.is_revoked]
        revoked = self.folder / "authority" / "revoked"
        lines = [f"{one.serial:x}\n" for one in fresh]
        _write(revoked, (revoked.read_text() if revoked.exists() else "").encode(), lines)
        self.write_revocations(now)
        return len(fresh)

    def issued(self) -> list[Issued]:
        """List every certificate that was made here, oldest first."""
        revoked = self._revoked()
        book = sorted((self.folder / "authority" / "issued").glob("*.crt"))
        found = []
        for path in book:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            serial = certificate.serial_number
            not_after = certificate.not_valid_after_utc
            found.append(Issued(str(common.value), serial, not_after, serial in revoked))
        return found

    def write_revocations(self, now: datetime) -> None:
        """Write the list of withdrawn certificates for the broker.

        It holds as long as the authority: a broker whose list has run out lets nobody in.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(VALID_FROM)
            .next_update(self.certificate.not_valid_after_utc)
        )
        for serial in sorted(self._revoked()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self._key, hashes.SHA256())
        pem = signed.public_bytes(serialization.Encoding.PEM)
        _write(self.folder / "broker" / "crl.pem", pem)

    def _revoked(self) -> set[int]:
        path = self.folder / "authority" / "revoked"
        return {int(line, 16) for line in path.read_text().split()} if path.exists() else set()

    def _issue(
        self,
        folder: Path,
        name: str,
        usage: x509.ObjectIdentifier,
        not_after: datetime,
        names: x509.SubjectAlternativeName | None = None,
    ) -> None:
        """Put key, certificate and the authority's certificate into a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(not_after, self.certificate.not_valid_after_utc)
        builder = (
            _begun(_name(name), self.certificate.subject, key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        book = self.folder / "authority" / "issued"
        number = len(list(book.glob("*.crt"))) + 1 if book.exists() else 1
        _write(book / f"{number:04d}-{name}.crt", _pem(certificate))
        _write_secret(folder / f"{name}.key", _key_bytes(key))
        _write(folder / f"{name}.crt", _pem(certificate))
        _write(folder / "ca.crt", _pem(self.certificate))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(until)
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    if _HOST.fullmatch(host) is None:
        raise KeysError(f"--broker {host!r}: neither an address nor a plain host name")
    return x509.DNSName(host)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} is no elliptic-curve key")
    return key


def _key_bytes(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey,
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_signing_pair(private: Path, public: Path) -> None:
    """Make an Ed25519 pair: the private half is secret, the public one for who checks."""
    key = ed25519.Ed25519PrivateKey.generate()
    _write_secret(private, _key_bytes(key))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    _write(public, key.public_key().public_bytes(serialization.Encoding.PEM, form))


def _write_sealing_pair(private: Path, public: Path) -> None:
    """Make an X25519 pair: whoever has the public half can seal, only the other half opens."""
    key = x25519.X25519PrivateKey.generate()
    _write_secret(private, _key_bytes(key))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    _write(public, key.public_key().public_bytes(serialization.Encoding.PEM, form))


def _write_secret(path: Path, data: bytes) -> None:
    """Write what only its owner may read; it never is readable by others, not for a moment."""
    _make_folder(path.parent)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _SECRET_MODE)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _SECRET_MODE)
            file.write(data)
    except OSError as error:
        raise KeysError(f"{path}: cannot be written ({error.strerror})") from error


def _write(path: Path, data: bytes, lines: list[str] | None = None) -> None:
    """Write a file that is no secret, whole or not at all."""
    _make_folder(path.parent)
    half = path.with_name(path.name + ".part")
    try:
        half.write_bytes(data + "".join(lines or []).encode())
        half.replace(path)
    except OSError as error:
        raise KeysError(f"{path}: cannot be written ({error.strerror})") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysError(f"{folder}: cannot be made ({error.strerror})") from error
