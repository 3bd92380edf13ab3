"""Originals that drones have let go: put together, opened, and checked against their hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from edge.desk.store import DeskStore
from edge.errors import ProtocolError
from edge.protocol.messages import MessageKind
from edge.protocol.original import OriginalPart, decode_part, joined, original_of
from edge.protocol.sealed import Opener


@dataclass(frozen=True, slots=True)
class Original:
    """A picture that a drone has let go, or why there is none."""

    drone_id: str
    incident_id: bytes
    digest: bytes
    case: str
    jpeg: bytes  # empty where it cannot be had
    problem: str  # "" where all is well
    is_named: bool  # a picture of the incident names it, and so does the alert, by that one's hash


def originals(store: DeskStore, opener: Opener) -> Iterator[Original]:
    """Yield every original of which a part is here."""
    named = {original_of(bytes(image)) for (image,) in store.rows("SELECT image_webp FROM media")}
    for (drone_id, digest), parts in _parts(store).items():
        first = parts[0]
        jpeg, problem = _opened(parts, opener)
        is_named = digest in named
        yield Original(drone_id, first.incident_id, digest, first.case, jpeg, problem, is_named)


def _opened(parts: list[OriginalPart], opener: Opener) -> tuple[bytes, str]:
    first = parts[0]
    sealed = joined(parts)
    if sealed is None:
        return b"", f"{len({one.part for one in parts})} of {first.parts} parts are here"
    try:
        jpeg = opener.open(sealed, first.incident_id + first.digest)
    except ProtocolError as error:
        return b"", str(error)
    if hashlib.sha256(jpeg).digest() != first.digest:
        return b"", "it is not the picture that was held: its hash differs"
    return jpeg, ""


def _parts(store: DeskStore) -> dict[tuple[str, bytes], list[OriginalPart]]:
    found: dict[tuple[str, bytes], list[OriginalPart]] = defaultdict(list)
    kind = int(MessageKind.ORIGINAL)
    for drone_id, body in store.rows(f"SELECT drone, body FROM message WHERE kind = {kind}"):
        part = decode_part(body)
        found[drone_id, part.digest].append(part)
    return dict(found)
