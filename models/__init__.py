"""The detectors that ship with Skywhistle and the recipe that makes them."""
