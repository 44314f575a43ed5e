"""The retrieve service: has kept objects sent and proves that they arrived."""
