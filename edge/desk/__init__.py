"""The ground half: receiver, cases, export."""
