"""Unix sockets as proxy, peers and replay use them: ends, descriptors, and who is at the other end."""
