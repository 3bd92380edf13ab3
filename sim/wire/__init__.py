"""The vehicle and its camera as they are heard and seen on the wire."""
