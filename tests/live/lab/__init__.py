"""The live lab: real QEMU, DPDK, OVS, virtiofsd… around the proxy.

One file per program. To add a back-end, write a file with a function that takes a `Lab` and a socket
path, starts the program with `lab.start(...)`, waits until it listens and returns the `Program`
(`storage.py` is the shortest example); then a test joins it to the proxy and to a front-end.
"""
