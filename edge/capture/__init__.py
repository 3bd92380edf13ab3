"""1. From wires to records: video sources, MAVLink link, pose buffer, clock."""
