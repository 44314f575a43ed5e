"""Commands that pages publish."""
