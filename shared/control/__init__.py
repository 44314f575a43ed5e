"""What people and other programs do to jobs and nodes that there are: cancel, rerun, pause, resume."""
