"""What the pages of one job show beside its panel."""
