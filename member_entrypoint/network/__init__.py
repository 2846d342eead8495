"""Host names, addresses and listeners: the hosts file, DNS and TCP."""
