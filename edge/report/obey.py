"""Carrying out the commands that the uplink has taken, and answering them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

from edge.errors import ProtocolError, SkywhistleError
from edge.protocol.command import (
    Command,
    CommandResult,
    Outcome,
    Verb,
    decode_command,
    encode_result,
)
from edge.protocol.messages import MessageKind
from edge.report.inbox import InboxRow
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing

log = logging.getLogger(__name__)

# Does what a verb asks for, and says in words what came of it; a SkywhistleError: it failed.
Deed: TypeAlias = Callable[[Command], str]


def obey(mailbox: Mailbox, deeds: Mapping[Verb, Deed]) -> None:
    """Carry out what waits in the inbox.

    A command whose answer could not be stored is carried out again: deeds must bear that.

    Raises:
        MailboxError: An answer cannot be stored.
    """
    for row in mailbox.commands():
        mailbox.command_done(row, _carry_out(row, deeds))


def _carry_out(row: InboxRow, deeds: Mapping[Verb, Deed]) -> Outgoing | None:
    try:
        command = decode_command(row.body)
    except ProtocolError as error:  # an older version took it
        log.warning("command_unreadable id=%d reason=%s", row.id, error)
        return None
    deed = deeds.get(command.verb)
    try:
        if deed is None:
            raise ProtocolError(f"this aircraft cannot {command.verb.name.lower()}")
        result = CommandResult(command.nonce, Outcome.DONE, deed(command))
    except SkywhistleError as error:
        result = CommandResult(command.nonce, Outcome.FAILED, str(error))
    log.info("command_done verb=%s outcome=%s", command.verb.name, result.outcome.name)
    return Outgoing(MessageKind.RESULT, encode_result(result), severity=2)
