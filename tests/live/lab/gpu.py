"""QEMU's vhost-user-gpu and a firmware that draws, unpacked beside the rest. Standard library only."""

from pathlib import Path

from lab.packages import cache, unpack

TREE = "vhost-user-gpu"
# It comes with QEMU's graphical windows; all that would drag in is not needed to run it.
PACKAGES = ["qemu-system-gui", "libvirglrenderer1", "libvulkan1", "libva2", "libva-drm2", "ovmf"]


def find() -> Path | None:
    """Its files, if they were fetched."""
    tree = cache() / TREE
    return tree if tree.exists() else None


def download() -> Path:
    """Fetch it out of Debian."""
    return unpack(TREE, PACKAGES)
