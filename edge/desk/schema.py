"""The desk's file as SQL: its tables, how older ones become today's, and how alerts go in."""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 3
# A broker knows a desk by this name.  Made once for each file, so that a restart finds what the
# broker has kept for it, and two desks with a file each do not push each other out.
_NAME: Final = """
    CREATE TABLE desk (client_id TEXT NOT NULL);
    INSERT INTO desk VALUES ('skywhistle-desk-' || lower(hex(randomblob(6))));
"""
# What drones vouch for, in their own bytes, and how far each says that it has come.
_VOUCHERS: Final = """
    CREATE TABLE voucher (
        drone TEXT NOT NULL, epoch INTEGER NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL,
        voucher BLOB NOT NULL, PRIMARY KEY (drone, epoch, n, seq)
    ) WITHOUT ROWID;
    CREATE TABLE head (
        drone TEXT NOT NULL, epoch INTEGER NOT NULL, n INTEGER NOT NULL,
        voucher BLOB NOT NULL, is_proved INTEGER NOT NULL, PRIMARY KEY (drone, epoch)
    ) WITHOUT ROWID;
"""
SCHEMA: Final = f"""
    BEGIN IMMEDIATE;
    CREATE TABLE message (
        drone TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
        kind INTEGER NOT NULL, is_replay INTEGER NOT NULL, received_utc_ns INTEGER NOT NULL,
        body BLOB, PRIMARY KEY (drone, epoch, seq)  -- body: of kinds with no table of their own
    ) WITHOUT ROWID;
    CREATE TABLE alert (
        drone TEXT NOT NULL, incident_id BLOB NOT NULL, revision INTEGER NOT NULL,
        epoch INTEGER NOT NULL, seq INTEGER NOT NULL, received_utc_ns INTEGER NOT NULL,
        is_replay INTEGER NOT NULL, body BLOB NOT NULL, fields TEXT NOT NULL,
        PRIMARY KEY (drone, incident_id, revision)
    ) WITHOUT ROWID;
    CREATE INDEX alert_received ON alert (received_utc_ns);
    CREATE TABLE media (
        drone TEXT NOT NULL, incident_id BLOB NOT NULL, revision INTEGER NOT NULL,
        evidence_hash BLOB NOT NULL, image_webp BLOB NOT NULL, received_utc_ns INTEGER NOT NULL,
        PRIMARY KEY (drone, incident_id, evidence_hash)
    );
    CREATE TABLE loss (
        drone TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, cause TEXT NOT NULL,
        count INTEGER NOT NULL, fields TEXT NOT NULL, received_utc_ns INTEGER NOT NULL,
        PRIMARY KEY (drone, epoch, seq)
    ) WITHOUT ROWID;
    CREATE TABLE watermark (
        drone TEXT NOT NULL, epoch INTEGER NOT NULL, up_to INTEGER NOT NULL,
        PRIMARY KEY (drone, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE drone (
        drone TEXT PRIMARY KEY, state TEXT NOT NULL, epoch INTEGER NOT NULL,
        body BLOB NOT NULL, received_utc_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE refused (
        id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, reason TEXT NOT NULL,
        size INTEGER NOT NULL, head BLOB NOT NULL, received_utc_ns INTEGER NOT NULL
    );
    {_NAME}
    {_VOUCHERS}
    PRAGMA user_version = {SCHEMA_VERSION};
    COMMIT;
"""
UPGRADES: Final = {
    1: f"BEGIN IMMEDIATE; {_NAME} PRAGMA user_version = 2; COMMIT;",
    2: f"BEGIN IMMEDIATE; {_VOUCHERS} PRAGMA user_version = 3; COMMIT;",
}
# What an alert said before a later word took its row: for who verifies what was signed.
KEEP_SUPERSEDED: Final = """
    UPDATE message SET body = alert.body FROM alert WHERE alert.drone = ? AND alert.incident_id = ?
        AND alert.revision = ? AND message.drone = alert.drone AND message.epoch = alert.epoch
        AND message.seq = alert.seq
"""
STORE_ALERT: Final = """
    INSERT INTO alert (drone, incident_id, revision, epoch, seq, received_utc_ns, is_replay, body,
        fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (drone, incident_id, revision) DO UPDATE SET seq = excluded.seq,
        received_utc_ns = excluded.received_utc_ns, is_replay = excluded.is_replay,
        body = excluded.body, fields = excluded.fields
    WHERE excluded.epoch = alert.epoch AND excluded.seq > alert.seq AND excluded.body != alert.body
"""
