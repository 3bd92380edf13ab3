"""5. From an incident to the centre: mailbox, uplink (MQTT), evidence, status."""
