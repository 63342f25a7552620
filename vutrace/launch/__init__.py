"""Starting a program with its vhost-user sockets through vutrace: the words that mean one, and others."""
