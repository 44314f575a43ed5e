"""The tasks of a retrieve, one module for each."""
