"""One line for each committed alert, for the terminal."""

from __future__ import annotations

from edge.desk.receiver import CommittedAlert
from edge.protocol.text import printable, utc_text

_SEVERITY_WORDS = {1: "urgent", 2: "high", 3: "normal", 4: "low"}


def commit_line(committed: CommittedAlert) -> str:
    """Say what, where, how sure, whose, and since when it is on the disk."""
    alert = committed.alert
    utc = utc_text(committed.received_utc_ns) or ""
    parts = [
        utc[11:],
        committed.drone_id,
        f"{alert.kind.name.lower():<6}",
        f"{alert.label} ({_SEVERITY_WORDS[alert.severity]})",
        f"{alert.lat_deg:.6f} {alert.lon_deg:.6f} ±{alert.ellipse.a_m:.1f} m",
        f"score {alert.score:.2f} in {alert.looks} looks",
        f"rule {alert.rule}",
    ]
    parts += [f"to {alert.department}"] if alert.department else []
    parts += [f"cell {alert.grid_cell}"] if alert.grid_cell else []
    parts += ["replay"] if committed.is_replay else []
    return printable("  ".join(parts))
