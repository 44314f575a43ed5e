"""Lists for the pages: sorted, filtered, and read a page at a time by the keys of their rows."""
