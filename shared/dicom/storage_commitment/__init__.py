"""Storage commitment (PS3.4 annex J): its messages, and the association of its SCU."""
