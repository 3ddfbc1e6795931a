"""What the release programs raise.

ReleaseError          shown to the user in one line, exit code 1
└── RegistryError     the registry refused, or could not be reached
"""


class ReleaseError(Exception):
    """Something that a person can fix; the text says what happened and what to do."""


class RegistryError(ReleaseError):
    """The registry gave an answer that is neither "here it is" nor "there is none"."""
