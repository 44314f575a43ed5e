"""QIDO-RS (PS3.18 10.6): searches, and whether their results are complete."""
