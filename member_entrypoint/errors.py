"""What can go wrong, each kind with the exit status that the documents promise."""


class EntrypointError(Exception):
    """An error that ends the program; its text is for the operator, one line or several."""

    status = 70


class ConfigurationError(EntrypointError):
    """What was asked for cannot be: wrong variables, files or release. Nothing was touched."""

    status = 78


class ClusteringError(EntrypointError):
    """The node could not be brought into the cluster that it was told to join."""

    status = 2


class TryAgainError(EntrypointError):
    """The join failed in a way that a restart of the VM can fix; PID 1 restarts it."""

    status = 75


class TooEarlyError(TryAgainError):
    """The VM would do harm if it went on to start; PID 1 kills it, looks, and starts it again."""

    status = 80


class PartitionError(EntrypointError):
    """The node runs apart from its cluster, and a restart fixes that; PID 1 restarts it."""

    status = 76


class RemovedError(EntrypointError):
    """The cluster does not know this node any more; PID 1 kills the VM and ends with status 2."""

    status = 77


class StartError(EntrypointError):
    """The VM did not come up within `START_TIMEOUT`."""

    status = 3


class CommandNotFoundError(EntrypointError):
    """A command that does not exist; the status is that of a shell."""

    status = 127


class CommandNotRunnableError(EntrypointError):
    """A command that exists but cannot be run; the status is that of a shell."""

    status = 126


class ExplainedError(EntrypointError):
    """Why the VM ended by itself; PID 1 ends with the VM's own status."""

    status = 79
