"""`skywhistle verify`: whether what the desk holds is whole and unchanged, by the drones' word."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from edge.desk.store import DeskStore
from edge.desk.vouching import DroneKeys
from edge.errors import ProtocolError, SignatureError
from edge.protocol.alert import decode_alert
from edge.protocol.messages import MessageKind
from edge.protocol.signing import PublicKey
from edge.protocol.text import alert_as_dict
from edge.protocol.vouch import NO_LINK, Statement, Voucher, digest_of, voucher_from

_KINDS = {int(kind): kind.name.lower() for kind in MessageKind}


@dataclass(slots=True)
class Verdict:
    """What was found of one drone's messages of one epoch."""

    drone_id: str
    epoch: int
    signed: int = 0  # messages with a good signature, whose content fits
    unsigned: int = 0  # that nobody vouches for
    wrong: list[str] = field(default_factory=list)  # a sentence each
    open_end: int = 0  # the drone has sent so many more, which are not here (yet)

    @property
    def is_sound(self) -> bool:
        """Nothing was changed, removed or forged."""
        return not self.wrong


@dataclass(frozen=True, slots=True)
class _Link:
    voucher: Voucher
    said: Statement


def verify(store: DeskStore, keys: DroneKeys) -> list[Verdict]:
    """Go through everything that is committed.

    Args:
        store: The desk's file.
        keys: By drone; a drone without one cannot be verified, which is a finding.
    """
    contents, chains, heads = _contents(store), _chains(store), _heads(store)
    edited = _edited(store)
    verdicts = []
    for drone_id, epoch in sorted({*contents, *chains, *heads}):
        key = (drone_id, epoch)
        verdict = Verdict(drone_id, epoch)
        links = list(_read(chains.get(key, []), verdict))
        claimed = {link.said.seq for link in links}
        if links and drone_id not in keys:
            verdict.wrong.append("signed, but no key of this drone is at hand: nothing is proved")
        else:
            links = list(_well_signed(links, keys.get(drone_id, {}), verdict))
        _check_order(links, verdict)
        known = contents.get(key, {})
        _check_contents(links, known, verdict)
        verdict.wrong += edited.get(key, [])
        verdict.unsigned = len(known.keys() - claimed)
        _check_end(heads.get(key), links, keys.get(drone_id, {}), verdict)
        verdicts.append(verdict)
    return verdicts


def _check_end(
    head: bytes | None, links: list[_Link], keys: Mapping[bytes, PublicKey], verdict: Verdict
) -> None:
    """Compare with how far the drone's last signed status says that it has come."""
    if head is None or not keys:
        return
    aside = Verdict(verdict.drone_id, verdict.epoch)
    statuses = list(_well_signed(_read([head], aside), keys, aside))
    if not statuses:
        verdict.wrong.append("the status that says how far it has come was never signed by it")
        return
    newest = max((link.said.n for link in links), default=0)
    verdict.open_end = max(0, statuses[0].said.n - newest)


def _read(rows: Iterable[bytes], verdict: Verdict) -> list[_Link]:
    links = []
    for data in rows:
        try:
            voucher = voucher_from(data)
            links.append(_Link(voucher, voucher.read()))
        except ProtocolError as error:
            verdict.wrong.append(f"a statement cannot be read: {error}")
    return links


def _well_signed(
    links: Iterable[_Link], keys: Mapping[bytes, PublicKey], verdict: Verdict
) -> Iterator[_Link]:
    failed: dict[str, list[int]] = defaultdict(list)
    for link in links:
        try:
            link.voucher.verify(keys)
            yield link
        except SignatureError as error:
            failed[str(error)].append(link.said.seq)
    for why, seqs in failed.items():
        more = f" and {len(seqs) - 1} more" if len(seqs) > 1 else ""
        verdict.wrong.append(f"message {min(seqs)}{more}: {why}")


def _check_order(links: list[_Link], verdict: Verdict) -> None:
    """Find what is missing between statements, and where a chain goes two ways."""
    links.sort(key=lambda link: link.said.n)
    if links and links[0].said.n > 1:
        verdict.wrong.append(f"the first {links[0].said.n - 1} that were sent are missing")
    elif links and links[0].said.previous != NO_LINK:
        verdict.wrong.append("the first statement does not begin a chain")
    for before, after in pairwise(links):
        gap = after.said.n - before.said.n - 1
        if gap > 0:
            verdict.wrong.append(
                f"{gap} missing between messages {before.said.seq} and {after.said.seq}"
            )
        elif gap < 0:
            verdict.wrong.append(
                f"messages {before.said.seq} and {after.said.seq} have one number: the chain "
                "forks; a power cut on a full disk does that, and so does a copied key"
            )
        elif after.said.previous != before.voucher.link:
            verdict.wrong.append(f"message {after.said.seq} does not follow {before.said.seq}")


def _check_contents(links: list[_Link], contents: dict[int, list[bytes]], verdict: Verdict) -> None:
    for seq, said in {link.said.seq: link.said for link in links}.items():
        found = contents.get(seq, [])
        name = f"{_KINDS.get(said.kind, 'message')} {seq}"
        if not found:
            verdict.wrong.append(f"{name} was received and has been removed since")
        elif {digest_of(content) for content in found} != {said.digest}:
            more = f", in {len(found)} versions" if len(found) > 1 else ""
            verdict.wrong.append(f"{name} is not what was signed: it has been changed{more}")
        else:
            verdict.signed += 1


def _chains(store: DeskStore) -> dict[tuple[str, int], list[bytes]]:
    chains: dict[tuple[str, int], list[bytes]] = defaultdict(list)
    for drone_id, epoch, data in store.rows("SELECT drone, epoch, voucher FROM voucher ORDER BY n"):
        chains[drone_id, epoch].append(data)
    return dict(chains)


def _heads(store: DeskStore) -> dict[tuple[str, int], bytes]:
    rows = store.rows("SELECT drone, epoch, voucher FROM head")
    return {(drone_id, epoch): bytes(data) for drone_id, epoch, data in rows}


def _contents(store: DeskStore) -> dict[tuple[str, int], dict[int, list[bytes]]]:
    """Gather what is committed, by drone and epoch, then by seq."""
    found: dict[tuple[str, int], dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    media = int(MessageKind.MEDIA)
    for sql in (
        f"SELECT drone, epoch, seq, body FROM message WHERE body IS NOT NULL AND kind != {media}",
        "SELECT drone, epoch, seq, body FROM alert",
        "SELECT message.drone, epoch, seq, image_webp FROM message JOIN media"
        " ON media.drone = message.drone AND media.evidence_hash = message.body"
        f" WHERE kind = {media}",
    ):
        for drone_id, epoch, seq, content in store.rows(sql):
            found[drone_id, epoch][seq].append(bytes(content))
    return {key: dict(of_key) for key, of_key in found.items()}


def _edited(store: DeskStore) -> dict[tuple[str, int], list[str]]:
    """Find alerts whose readable side, which exports are made of, differs from what came."""
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for drone_id, epoch, seq, incident_id, revision, is_replay, body, fields in store.rows(
        "SELECT drone, epoch, seq, incident_id, revision, is_replay, body, fields FROM alert"
    ):
        try:
            alert = decode_alert(bytes(body))
            alert = replace(alert, flags=replace(alert.flags, replay=bool(is_replay)))
            as_it_came = json.loads(json.dumps(alert_as_dict(alert))), alert.incident_id
            is_same = as_it_came == (json.loads(fields), bytes(incident_id))
            is_same = is_same and alert.revision == revision
        except (ProtocolError, ValueError, TypeError):
            is_same = False
        if not is_same:
            found[drone_id, epoch].append(f"alert {seq} shows other than what came")
    return dict(found)
