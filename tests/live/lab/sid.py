"""QEMU 11 and DPDK 25.11 out of Debian sid, unpacked with all that they need. Standard library only.

They run on the C library that comes with them. What only compiles programs is left out.
"""

from pathlib import Path

from lab.packages import cache, other_suites, unpack_closure

TREE = "debian-sid"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
WANTED = ["qemu-system-x86", "qemu-utils", "dpdk-dev", "virtiofsd", "passt"]
UNUSED = ("-dev_", "gcc-", "cpp-", "g++-", "binutils", "perl", "python3", "libpython3", "-doc_")
KEPT = "dpdk-dev_"  # testpmd is in it
DRIVERS = ("librte_bus_vdev", "librte_mempool_ring", "librte_net_virtio", "librte_net_vhost")


def find() -> Path | None:
    """Its files, if they were fetched."""
    tree = cache() / TREE
    return tree if tree.exists() else None


def download() -> Path:
    """Fetch it."""
    return unpack_closure(TREE, WANTED, other_suites(TREE, "sid"), is_used)


def is_used(name: str) -> bool:
    """Whether a package has to do with running the programs."""
    return name.startswith(KEPT) or not any(part in name for part in UNUSED)


def program(tree: Path, name: str) -> tuple[str, ...]:
    """How to call one of its programs, on its own libraries."""
    libraries = f"{tree}/{LIBRARIES}"
    return (f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, f"{tree}/usr/bin/{name}")


def qemu(tree: Path) -> tuple[str, ...]:
    """How to call its QEMU: firmware is its own and that of the installed packages."""
    places = (f"{tree}/usr/share/qemu", f"{tree}/usr/share/seabios", f"{tree}/usr/lib/ipxe/qemu")
    own = (*places, "/usr/share/seabios", "/usr/lib/ipxe/qemu")
    return (*program(tree, "qemu-system-x86_64"), *(word for place in own for word in ("-L", place)))


def testpmd(tree: Path) -> tuple[str, ...]:
    """How to call its testpmd, with the drivers that a machine without network cards needs."""
    directory = next((tree / LIBRARIES / "dpdk").glob("pmds-*"))
    drivers = sorted(
        path for name in DRIVERS for path in directory.glob(f"{name}.so.*") if path.suffix[1:].isdigit()
    )
    return (*program(tree, "dpdk-testpmd"), *(word for path in drivers for word in ("-d", str(path))))
