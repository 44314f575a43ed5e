"""A process of DoseQR: children that are restarted, signals that stop it, threads that repeat a step."""
