"""What can go wrong with an OpenID provider."""

from __future__ import annotations


class ProviderError(Exception):
    """A log-in at the provider did not come to its end; the text is fit for people."""


class ProviderAwayError(ProviderError):
    """The provider did not respond, or with an error of its own; another try may help."""


class ProviderRefusedError(ProviderError):
    """What the provider sent does not prove who logs in, or it refused the log-in."""
