"""Why an object cannot be written."""

from __future__ import annotations

import errno

from shared.errors import RetriableError

#: The file system has no space left for this writer.
_OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectWriteError(RetriableError):
    """The object could not be written; nothing of it is visible."""

    @classmethod
    def of(cls, error: OSError) -> ObjectWriteError:
        """Return what an error of the file system means."""
        name = errno.errorcode.get(error.errno or 0, "unknown")
        if error.errno in _OUT_OF_SPACE:
            return OutOfSpaceError(f"no space for the object: {name}")
        return ObjectWriteError(f"the object cannot be written: {name}")


class OutOfSpaceError(ObjectWriteError):
    """No space is left, the quota is used up, or only the reserve is free."""


class TooManyConflictsError(ObjectWriteError):
    """As many objects with other content are kept aside as may be."""
