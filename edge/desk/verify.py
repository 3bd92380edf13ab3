"""`skywhistle verify`: whether what the desk holds is whole and unchanged, by the drones' word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from edge.desk.store import DeskStore
from edge.desk.vouching import DroneKeys
from edge.errors import ProtocolError, SignatureError
from edge.protocol.loss import LossCause, decode_loss
from edge.protocol.messages import MessageKind
from edge.protocol.signing import PublicKey
from edge.protocol.vouch import NO_LINK, Statement, Voucher, digest_of, voucher_from

_LONGEST_SPAN = 100_000  # of a loss record


@dataclass(slots=True)
class Verdict:
    """What was found of one drone's messages of one epoch."""

    drone_id: str
    epoch: int
    signed: int = 0  # messages with a good signature, whose content fits
    unsigned: int = 0  # that nobody vouches for
    refused: int = 0  # by the desk, as the drone's loss records say
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
    contents = _contents(store)
    chains = _chains(store)
    refused = _refused(store)
    heads = {(drone, epoch): n for drone, epoch, n in store.rows("SELECT * FROM head")}
    verdicts = []
    for drone_id, epoch in sorted({*contents, *chains}):
        verdict = Verdict(drone_id, epoch)
        links = list(_read(chains.get((drone_id, epoch), []), verdict))
        claimed = {link.said.seq for link in links}
        if links and drone_id not in keys:
            verdict.wrong.append("signed, but no key of this drone is at hand: nothing is proved")
        else:
            links = list(_well_signed(links, keys.get(drone_id, {}), verdict))
        _check_order(links, verdict)
        known = contents.get((drone_id, epoch), {})
        _check_contents(links, known, refused.get((drone_id, epoch), set()), verdict)
        verdict.unsigned = len(known.keys() - claimed)
        newest = max((link.said.n for link in links), default=0)
        verdict.open_end = max(0, heads.get((drone_id, epoch), 0) - newest)
        verdicts.append(verdict)
    return verdicts


def _read(rows: Iterable[bytes], verdict: Verdict) -> Iterator[_Link]:
    for data in rows:
        try:
            voucher = voucher_from(data)
            yield _Link(voucher, voucher.read())
        except ProtocolError as error:
            verdict.wrong.append(f"a statement cannot be read: {error}")


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


def _check_contents(
    links: list[_Link], contents: dict[int, bytes], refused: set[int], verdict: Verdict
) -> None:
    said_of = {link.said.seq: link.said for link in links}
    for seq, said in said_of.items():
        content = contents.get(seq)
        kind = MessageKind(said.kind).name.lower()
        if content is None and seq in refused:
            verdict.refused += 1
        elif content is None:
            verdict.wrong.append(f"{kind} {seq} was received and has been removed since")
        elif digest_of(content) != said.digest:
            verdict.wrong.append(f"{kind} {seq} is not what was signed: it has been changed")
        else:
            verdict.signed += 1


def _chains(store: DeskStore) -> dict[tuple[str, int], list[bytes]]:
    chains: dict[tuple[str, int], list[bytes]] = defaultdict(list)
    for drone_id, epoch, data in store.rows("SELECT drone, epoch, voucher FROM voucher ORDER BY n"):
        chains[drone_id, epoch].append(data)
    return dict(chains)


def _contents(store: DeskStore) -> dict[tuple[str, int], dict[int, bytes]]:
    """Gather what is committed, by drone and epoch, then by seq."""
    found: dict[tuple[str, int], dict[int, bytes]] = defaultdict(dict)
    for sql in (
        "SELECT drone, epoch, seq, body FROM message WHERE body IS NOT NULL"
        f" AND kind != {int(MessageKind.MEDIA)}",
        "SELECT drone, epoch, seq, body FROM alert",
        "SELECT message.drone, epoch, seq, image_webp FROM message JOIN media"
        " ON media.drone = message.drone AND media.evidence_hash = message.body"
        f" WHERE kind = {int(MessageKind.MEDIA)}",
    ):
        for drone_id, epoch, seq, content in store.rows(sql):
            found[drone_id, epoch][seq] = bytes(content)
    return dict(found)


def _refused(store: DeskStore) -> dict[tuple[str, int], set[int]]:
    """Return the seqs that drones say the desk refused, by drone and epoch."""
    found: dict[tuple[str, int], set[int]] = defaultdict(set)
    kind = int(MessageKind.LOSS)
    for drone_id, epoch, body in store.rows(
        f"SELECT drone, epoch, body FROM message WHERE kind = {kind} AND body IS NOT NULL"
    ):
        loss = decode_loss(body)
        if loss.cause is LossCause.DEAD_LETTER:
            span = range(loss.first_seq, loss.last_seq + 1)
            found[drone_id, epoch].update(span[:_LONGEST_SPAN])
    return dict(found)
