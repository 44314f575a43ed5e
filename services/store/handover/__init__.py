"""Handing what has arrived over to an importer: in batches, at least once, until it takes them."""
