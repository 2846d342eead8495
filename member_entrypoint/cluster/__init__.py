"""Who this node is, whether it joins a cluster, and how it joins, leaves and watches it."""
