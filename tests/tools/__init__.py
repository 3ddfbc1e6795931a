"""Programs and schemas of pinned versions, built from their Go modules into a cache.

`python -m tests.tools build` fills the cache; everything else in tests/ asks here where a program
is. Importing does nothing; only the standard library is used, because the build may run before
there is a virtual environment.
"""

from tests.tools.cache import ToolMissing, cache_root, share, tool
from tests.tools.packages import PackagesMissing, require_packages

__all__ = [
    "PackagesMissing",
    "ToolMissing",
    "cache_root",
    "require_packages",
    "share",
    "tool",
]
