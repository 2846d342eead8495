"""Names of hosts: the hosts file and DNS."""
