"""Objects without their bulk data: how it is left out as it comes, and what the header says of that."""
