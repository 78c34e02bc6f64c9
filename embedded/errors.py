"""What can go wrong with the servers of this machine.

Every message says what was found, what was expected, and what to do.

EmbeddedError
├── JarsMissingError     Kafka's jars are neither in the cache nor to be had
├── ServerMissingError   the Milvus server of the development packages is not installed, or cannot be unpacked
├── PortTakenError       something else listens where a server of ours should
├── NotReadyError        a server or a process did not come up: it ended, or its deadline passed
├── DamagedError         a file that a folder keeps for the next start cannot be understood
└── AlreadyRunningError  another supervisor, or another broker, works on the folder
"""


class EmbeddedError(RuntimeError):
    """The one-machine mode cannot do what was asked; the message is for the operator."""


class JarsMissingError(EmbeddedError):
    """Kafka's jars are neither in the cache nor to be had."""


class ServerMissingError(EmbeddedError):
    """The Milvus server of the development packages is not installed, or cannot be unpacked."""


class PortTakenError(EmbeddedError):
    """Something else listens where a server of ours should."""


class NotReadyError(EmbeddedError):
    """A server or a process did not come up: it ended, or its deadline passed."""


class DamagedError(EmbeddedError):
    """A file that a folder keeps for the next start cannot be understood."""


class AlreadyRunningError(EmbeddedError):
    """Another supervisor, or another broker, works on the folder.

    ``pid`` is the supervisor's process id, None when unknown.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid
