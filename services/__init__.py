"""The services of DoseQR: each a process of its own; they talk only through the broker."""
