"""No address that holds only here: folders of one machine, hosts of a package index."""

import re
from pathlib import Path

from devstack.check.tree import files, text_of

# Written so that this file itself holds none of them.
FOLDERS = r"(?<![\w.~}/-])/(?:home|root|Users|work)/\w"
INDEXES = r"https?://[^\s\"'<>]+/simple\b|\b(?:files\.)?pypi(?:\.org|\.python\.org)|python" r"hosted\.org"
SHALLOW = 3


def foreign(root: Path) -> list[str]:
    """Each such address in a tracked file."""
    return [
        f"{path.relative_to(root)}:{line} {message}"
        for path in files(root)
        for line, message in addresses(text_of(path), root)
    ]


def addresses(text: str, root: Path) -> list[tuple[int, str]]:
    """Where a text names a folder of this or another machine, or a package index."""
    own = re.escape(str(root)) if len(root.parts) > SHALLOW else r"\b\B"
    forbidden = {
        "an absolute path of a machine": re.compile(f"{FOLDERS}|{own}"),
        "the address of a package index": re.compile(INDEXES),
    }
    return [
        (number, f"names {what}: {match[0]}")
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in forbidden.items()
        if (match := pattern.search(line))
    ]
