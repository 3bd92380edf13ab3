"""3. From a pixel to a place: camera model, rotations, ground, locate, accuracy."""
