"""Storage commitment of what a retrieve sent (PS3.4 annex J)."""
