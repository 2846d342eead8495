"""`member-entrypoint status`: the cluster as each of its members sees it."""
