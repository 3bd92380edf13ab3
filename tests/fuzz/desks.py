"""Fuzz target of the desk: a payload on any channel, into its database and out to its terminal."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from edge.config_delivery import MqttConfig
from edge.desk.console import commit_line
from edge.desk.receiver import Desk, _Batch, committed_as_dict, split_ack
from edge.desk.store import DeskStore
from edge.desk.vouching import DeskKeys
from edge.protocol.ack import encode_ack
from edge.protocol.messages import Stamp
from edge.protocol.mqtt_events import Incoming
from edge.records import UtcNs
from tests.fuzz.mutate import mutate_cbor
from tests.fuzz.target import Target, scratch
from tests.fuzz.wire import PUBLIC, envelopes

_CHANNELS: Final = ("alert", "media", "status", "cover", "result", "nonsense")


class _UndoneError(Exception):
    """Ends a transaction, so that the database does not grow."""


@cache
def _desk() -> tuple[Desk, DeskStore]:
    store = DeskStore(scratch() / "desk.db")
    return Desk(
        MqttConfig(tls=False), store, lambda _: None, lambda: UtcNs(1_790_000_000 * 10**9),
        DeskKeys({"signs": {PUBLIC.key_id: PUBLIC}}),
    ), store  # fmt: skip


def _check(payload: bytes) -> None:
    """All that the desk does with a message, but for the commit and the network."""
    desk, store = _desk()
    batch = _Batch()
    try:
        with store.transaction():
            for drone in ("drone-1", "signs"):
                for channel in _CHANNELS:
                    topic = f"sw/v1/{drone}/up/{channel}"
                    desk._take(Incoming(topic, payload, (0, 0), 1), batch)
            for (drone_id, epoch), low in batch.low.items():
                store.raise_watermark(drone_id, epoch, at_least=low)
            raise _UndoneError
    except _UndoneError:
        pass
    for committed in batch.alerts:
        json.dumps(committed_as_dict(committed), allow_nan=False)
        assert commit_line(committed).isprintable()
    for (_, epoch), rejects in batch.rejects.items():
        for ack in split_ack(Stamp(epoch, 0), [], rejects):
            encode_ack(ack)


TARGETS: Final = (Target("desk", envelopes, _check, mutate_cbor, 12 * 1024, 100),)
