"""What others recorded, as records: strace, the logs of QEMU, DPDK and libvhost-user, sockdump."""
