"""Users of the page: accounts and passwords."""
