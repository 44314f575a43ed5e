"""Adds up what ended queries found, by study and day, for the calendar and the coverage."""
