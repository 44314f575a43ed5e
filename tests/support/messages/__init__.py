"""The catalogue of the page's texts: extracted with Babel, compared and merged."""
