"""What the release programs raise.

ReleaseError          said to the person in one line, exit code 1
└── RegistryError     the registry refused, or could not be reached
"""


class ReleaseError(Exception):
    """Something a person can mend; the text says what happened and what to do about it."""


class RegistryError(ReleaseError):
    """The registry gave an answer that is neither "here it is" nor "there is none"."""
