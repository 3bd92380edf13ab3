"""What the command `skywhistle` and `python -m edge.cli` start."""

from __future__ import annotations

import signal


def start() -> None:
    """Load the commands and run one; Ctrl-C while they still load ends the program silently.

    Loading takes a second or more on a small board; Python's own answer to Ctrl-C would be a
    traceback out of the middle of an import.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else somebody ignores it for us: nohup, a shell's &
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from edge.cli.main import main

    signal.signal(signal.SIGINT, before)
    main()


if __name__ == "__main__":
    start()
