"""What a recorded flight is worth: matching, figures, gate, page."""
