"""Puts alerts into the mailbox as a busy patrol would, as fast as it is told."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.errors import MailboxError
from edge.protocol.cbor import encode_item
from edge.protocol.messages import MessageKind
from edge.records import Alert, AlertKind, Ellipse, TimeQuality, UtcNs, UtcTime
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert, outgoing_evidence
from sim.chaos.place import Place

_INCIDENTS_MAX: Final = 12  # followed at once
_NEW_SHARE: Final = 0.5
_END_SHARE: Final = 0.2
_BESIDE_SHARE: Final = 0.1  # of puts that bring coverage or a result along
_PICTURE_SHARE: Final = 0.05
_PICTURE_BYTES: Final = 9_000
_WEBP_HEAD: Final = b"RIFF\x00\x00\x00\x00WEBP"  # as much as the desk looks at
_BURST_SHARE: Final = 0.01
_BURST: Final = 40
_FULL_WAIT_S: Final = 0.3


@dataclass(slots=True)
class _Incident:
    incident_id: bytes
    severity: int
    revision: int = 0


class Driver:
    """One life of the driver; incident ids are of this life, so none is told twice."""

    def __init__(self, place: Place, mailbox: Mailbox, seed: int) -> None:
        self._place = place
        self._mailbox = mailbox
        self._random = random.Random(seed)
        self._open: list[_Incident] = []

    def run(self, stop: threading.Event) -> None:
        """Put until stopped; what is refused is put again later, as `flight` does."""
        due_s = time.monotonic()
        while not stop.is_set():
            n = _BURST if self._random.random() < _BURST_SHARE else 1
            for _ in range(n):
                self._put_one(stop)
            due_s = max(due_s + n / self._place.alerts_per_s, time.monotonic() - 1.0)
            stop.wait(max(0.0, due_s - time.monotonic()))

    def _put_one(self, stop: threading.Event) -> None:
        incident, kind = self._next()
        messages = list(self._messages(incident, kind))
        try:
            self._mailbox.put_all(messages)
        except MailboxError:
            stop.wait(_FULL_WAIT_S)
            return
        incident.revision += 1
        if kind is AlertKind.NEW:
            self._open.append(incident)
        elif kind is AlertKind.END:
            self._open.remove(incident)

    def _next(self) -> tuple[_Incident, AlertKind]:
        is_new = self._random.random() < _NEW_SHARE
        if not self._open or (is_new and len(self._open) < _INCIDENTS_MAX):
            return _Incident(os.urandom(16), self._random.randint(1, 4)), AlertKind.NEW
        incident = self._random.choice(self._open)
        is_end = self._random.random() < _END_SHARE
        return incident, AlertKind.END if is_end else AlertKind.UPDATE

    def _messages(self, incident: _Incident, kind: AlertKind) -> Iterator[Outgoing]:
        has_picture = self._random.random() < _PICTURE_SHARE
        picture, hash8 = self._picture() if has_picture else (None, b"")
        alert = replace(self._alert(incident, kind), evidence_hash=hash8)
        yield outgoing_alert(alert)
        if picture is not None:
            yield outgoing_evidence(alert, picture)
        if self._random.random() < _BESIDE_SHARE:
            kind_beside = self._random.choice([MessageKind.COVER, MessageKind.RESULT])
            yield Outgoing(kind_beside, encode_item({1: os.urandom(40)}), severity=4)

    def _picture(self) -> tuple[Path | None, bytes]:
        """Write something of a picture's size; None where the disk has no room."""
        data = _WEBP_HEAD + os.urandom(_PICTURE_BYTES)
        path = self._place.pictures / f"{os.urandom(8).hex()}.webp"
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        except OSError:
            path.unlink(missing_ok=True)
            return None, b""
        return path, hashlib.sha256(data).digest()[:8]

    def _alert(self, incident: _Incident, kind: AlertKind) -> Alert:
        return typical_alert(
            incident.incident_id,
            kind=kind,
            revision=incident.revision + 1,
            severity=incident.severity,
            looks=self._random.randint(1, 9999),
        )


def typical_alert(
    incident_id: bytes,
    *,
    kind: AlertKind = AlertKind.NEW,
    revision: int = 1,
    severity: int = 2,
    looks: int = 30,
) -> Alert:
    """Build an alert of the size that most have; no two have the same bytes."""
    return Alert(
        kind=kind,
        incident_id=incident_id,
        revision=revision,
        label="structure",
        lat_deg=31.5701234,
        lon_deg=120.3012345,
        ground_amsl_m=5.2,
        ellipse=Ellipse(3.4, 2.1, 57.0),
        time=UtcTime(UtcNs(1_789_000_123_456_000_000), TimeQuality.GNSS_SYNCED, 432_100),
        score=0.812,
        threshold=0.5,
        looks=looks,
        rule="new-shed",
        severity=severity,
        extent_w_m=12.3,
        extent_h_m=6.1,
        gsd_m_per_px=0.034,
        box_xyxy=(0.4123, 0.3321, 0.5123, 0.4456),
        department="urban-mgmt",
        event_code="0101",
        grid_cell="320206001001007",
        model_hash=os.urandom(8),
        config_hash=b"confgsha",
        sync_error_ms=12,
    )
