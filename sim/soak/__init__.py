"""Soak: everything of a patrol runs for hours, unbroken, and is watched for what grows."""
