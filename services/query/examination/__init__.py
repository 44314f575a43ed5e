"""Examination of found studies at SERIES and IMAGE level."""
