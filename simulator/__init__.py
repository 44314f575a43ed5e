"""A scripted PACS: a real C-ECHO, C-FIND, C-MOVE and C-GET provider with faults, described by a small file.

It is the oracle of the tests, so it shares no code with what they test: it encodes and decodes with pydicom,
pynetdicom and a small codec of its own (`network/dimse_message.py`). A mistake in `shared/dicom` must not
hide behind the same mistake here.
"""
