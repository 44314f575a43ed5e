"""The operations, a module for each thing that they are about."""
