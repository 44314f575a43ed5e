"""Disks: the space that is free, and the reserve that stays free."""
