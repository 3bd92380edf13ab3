"""The simulator: a district from a seed, its camera, its vehicle, and flights recorded there."""
