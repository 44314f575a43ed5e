"""View models: what templates show, computed from the read models."""
