"""What a machine on its own needs to run DoseQR: a broker when there is none."""
