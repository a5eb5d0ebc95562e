"""Which tests run in the same process: those of a file, and those that share a running stack."""

from xdist.scheduler import LoadScopeScheduling

BACKENDS = ("embedded", "services")
SHARING_FOLDERS = ("tests/faults/processes", "tests/faults/connections")
"""Folders whose tests all use the same stack."""


def find_group(nodeid: str) -> str:
    """Return the name of the group to which a test belongs."""
    file, _, name = nodeid.partition("::")
    folder = file.rpartition("/")[0]
    if folder in SHARING_FOLDERS:
        return folder
    for backend in BACKENDS:
        if folder == "tests/functional" and f"[{backend}" in name:
            return f"{folder} on {backend}"
    return file


class GroupScheduling(LoadScopeScheduling):
    """Sends each group to one process, in the order of collection.

    The mark ``xdist_group`` would do the same, but pytest-xdist 3.8 loses it with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return find_group(nodeid)
