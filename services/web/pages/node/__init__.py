"""The pages of one node: what is known of it, how fast it responds, and how it is set up."""
