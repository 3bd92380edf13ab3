"""One process for each role on a mailbox or a desk's file, by a lock that dies with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from edge.errors import MailboxError, RoleTakenError

ROLES: Final = ("run", "flight", "uplink", "desk")


def lock_path(mailbox_path: Path, role: str) -> Path:
    """Return the file whose lock is a role."""
    return mailbox_path.with_name(f"{mailbox_path.name}.{role}.lock")


class RoleLock:
    """Hold a role on a mailbox or database file for as long as the `with` block lasts."""

    def __init__(self, mailbox_path: Path, role: str) -> None:
        if role not in ROLES:
            raise ValueError(f"role must be one of {ROLES}, got {role!r}")
        self._path = lock_path(mailbox_path, role)
        self._role = role
        is_desk = role == "desk"
        self._what = "database" if is_desk else "mailbox"
        self._key = "--database" if is_desk else "mailbox.path"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the role.

        Raises:
            RoleTakenError: Another process has it; the message gives its process id.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MailboxError(
                f"{self._path} cannot be made: {error.strerror}; "
                "check its folder's owner, mode and disk"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise RoleTakenError(
                f"another {self._role} (process {holder}) works on this {self._what}; "
                f"stop it first, or give this one another {self._key} ({self._path})"
            ) from error
        with contextlib.suppress(OSError):  # a full disk: only the number in a message is lost
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the role back; harmless if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def probe(self) -> None:
        """See that the role is free, and leave it so.

        Raises:
            RoleTakenError: As `acquire`.
        """
        with self:
            pass

    def __enter__(self) -> RoleLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
