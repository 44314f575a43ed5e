"""Studies that are made up: blueprints of every kind, and an archive of any size drawn from them."""
