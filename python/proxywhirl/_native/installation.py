"""Another distribution that installs a package named ``proxywhirl``, into the same folder as this one.

Both write files of the same names: the one that was installed last has overwritten the other's, and removing either
takes files of both.
"""

from __future__ import annotations

import os
import re

OWN = "proxywhirl-rs"
OTHER = "proxywhirl"
REMEDY = f"pip uninstall -y {OTHER} {OWN}, then: pip install {OWN}"

# `pip` normalises names of folders; older tools wrote eggs.
_RECORD = re.compile(rf"{OTHER}-([0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist-info|egg-info)\Z", re.IGNORECASE)


class InstallationWarning(UserWarning):
    """Files of two distributions lie in one package: which of them is imported depends on the order of installation."""


def other_version(site: str) -> str | None:
    """The version of the other distribution in a folder of packages.

    Args:
        site: The folder in which the package's own folder lies.

    Returns:
        The version; ``None`` if the other distribution is not installed there, or the folder cannot be read.
    """
    try:
        names = os.listdir(site)
    except OSError:
        return None
    for name in names:
        found = _RECORD.match(name)
        if found is not None:
            return found[1]
    return None


def describe(version: str) -> str:
    """What is wrong where both are installed, and the remedy."""
    return (
        f"{OTHER} {version} and {OWN} are both installed, and have files of the same names: some of those in use are "
        f"of the other. Keep one of them: {REMEDY}"
    )


def warn_if_both(package: str) -> None:
    """Warn if the other distribution is installed in the same place.

    Args:
        package: The package's folder.
    """
    version = other_version(os.path.dirname(package))
    if version is not None:
        import warnings

        warnings.warn(describe(version), InstallationWarning, stacklevel=3)
