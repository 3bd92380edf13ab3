"""The district: its ground, buildings, violations and look-alikes, drawn from a seed."""
