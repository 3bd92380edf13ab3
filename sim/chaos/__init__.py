"""Chaos: everything of a patrol runs and breaks at random; then each alert is accounted for."""
