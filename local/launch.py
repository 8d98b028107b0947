"""Becomes a child of the stack that cannot outlive its supervisor: `launch.py PARENT_PID SIGNAL keep|drop COMMAND...`.

Run as a script by a bare interpreter, so it imports the standard library only.
"""

import ctypes
import os
import resource
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
# Many systems begin with 1,024. A worker holds a socket per account; more than this, some programs walk through at their start.
_OPEN_FILES = 65_536


def main(arguments: list[str]) -> None:
    parent, orphan_signal, root, command = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    if root == "drop" and os.geteuid() == 0:
        # Changing the user clears the parent-death signal, so setpriv has to be the one who asks for it.
        command = _without_root(signal.Signals(orphan_signal), command)
    _allow_many_files()
    _end_with_the_parent(orphan_signal)
    if os.getppid() != parent:
        sys.exit("the supervisor ended before this part began")
    os.execvp(command[0], command)  # noqa: S606 - replacing this process by the part is the purpose


def _allow_many_files() -> None:
    """As many as the system lets us have without asking, up to a sensible number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end_with_the_parent(orphan_signal: int) -> None:
    """Linux only; elsewhere the next `up` ends what a killed supervisor left (local/leftovers.py)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, orphan_signal) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _without_root(orphan_signal: signal.Signals, command: list[str]) -> list[str]:
    """Runs `command` as nobody, who keeps one right of root's: passing file permissions.

    With it the binaries and the data may lie in root's private folders, and no folder has to be opened for others. The
    `no_setuid_fixup` bit makes access(2) honour that right too.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        sys.exit("Postgres does not run as root, and setpriv (package util-linux) is missing; install it or run as a plain user")
    return [
        setpriv,
        "--reuid=nobody",
        f"--regid={_group_of_nobody()}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=+dac_override",
        f"--pdeathsig={orphan_signal.name.removeprefix('SIG')}",
        *command,
    ]


def _group_of_nobody() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_gid


if __name__ == "__main__":
    main(sys.argv[1:])
