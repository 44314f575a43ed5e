"""The query service: finds which objects of a PACS carry the dose."""
