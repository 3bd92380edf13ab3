"""The vehicle: its path, its instruments and how they err, its mount."""
