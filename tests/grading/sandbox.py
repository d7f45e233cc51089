"""Where a submission runs: a process with limits, in namespaces of its own where Linux allows it, and no survivors.

    keeper, which waits, counts and ends everything
    └── init of the namespace of processes
        └── worker, which imports the submission

In the namespaces there are no other processes, no network, and the file system can be read only, but for the folder of
the worker. Folders that are hidden look empty. They need no right but that to make user namespaces. Without them, a
worker that would be root becomes nobody, where nobody can read Python's files. The limits hold in any case.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path

MEMORY_BYTES = 8 << 30  # of a worker with all its children; a right package needs 2
FILE_BYTES = 1 << 30  # of one file, and
FOLDER_BYTES = 2 << 30  # of all files of a worker
PROCESSES = 64
THREADS = 4096  # a bound for what grows between two looks at the processes; TensorFlow has some per core
CPU_SECONDS = 7200
LOOK_SECONDS = 0.25
NOBODY = 65534
SYSTEM_FOLDERS = {"/", "/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/sys", "/usr", "/usr/lib", "/var"}

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants whose own parent ends."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_namespaces() -> bool:
    """Try whether this machine allows the namespaces, in a process of its own; it must not have threads yet."""
    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            code = 1
            try:
                _unshare()
                child = os.fork()  # the first process of a namespace
                if not child:
                    _mounts(Path(folder), [], [])
                    os._exit(0)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            except OSError:
                pass
            finally:
                os._exit(code)
        return os.waitpid(child, 0)[1] == 0


def _unshare():
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _mounts(folder, hidden, shown):
    """Make the file system readable only but for `folder`, and empty folders of `hidden` but for what is `shown`."""
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    # A link to what is shown must lead there as before.
    shown = {place(path) for path in [folder, *shown] for place in (os.path.abspath, os.path.realpath)}
    outermost = []
    for path in sorted({os.path.realpath(path) for path in hidden} - SYSTEM_FOLDERS):
        if not any(_within(path, outer) for outer in [*outermost, *shown]) and os.path.isdir(path):
            outermost.append(path)
    for path in outermost:
        kept = sorted(keep for keep in shown if _within(keep, path) and os.path.isdir(keep))
        kept = [keep for keep in kept if not any(_within(keep, other) and keep != other for other in kept)]
        places = {keep: os.open(keep, os.O_PATH) for keep in kept}
        _call("mount", b"tmpfs", path.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"size=64m,mode=755")
        for keep, place in places.items():
            os.makedirs(keep)
            _call("mount", f"/proc/self/fd/{place}".encode(), keep.encode(), None, MS_BIND | MS_REC, None)
            os.close(place)
    own = os.path.realpath(folder).encode()
    _call("mount", own, own, None, MS_BIND | MS_REC, None)
    _set_attributes(b"/", MOUNT_ATTR_RDONLY, 0)
    _set_attributes(own, 0, MOUNT_ATTR_RDONLY)
    with contextlib.suppress(OSError):  # semaphores need it
        _call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, b"size=256m")
    with contextlib.suppress(OSError):  # a container may forbid it; then /proc shows processes that cannot be reached
        _call("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)


def _within(path, folder):
    return os.path.commonpath([path, folder]) == folder


def _set_attributes(path, add, remove):
    attributes = (ctypes.c_uint64 * 4)(add, remove, 0, 0)
    _call("syscall", SYS_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, ctypes.sizeof(attributes))


def _give_up_rights():
    """Drop what the first process of a user namespace may do there, for good: undo the mounts, for example."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _call("capset", header, none)
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _become_nobody(folder, needed):
    """Become nobody, if that is root and nobody can read what the worker needs."""
    if os.getuid() or not all(_others_can_read(path) for path in needed):
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _others_can_read(path):
    path = Path(path).resolve()
    return path.stat().st_mode & 0o004 and all(place.stat().st_mode & 0o001 for place in path.parents)


def _limit():
    hard = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_DATA: MEMORY_BYTES,  # not the addresses (RLIMIT_AS): TensorFlow reserves far more than it uses
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NPROC: THREADS,
    }
    for limit, value in hard.items():
        most = resource.getrlimit(limit)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, the kernel ends this one


def keep(control: socket.socket, folder: Path, work, *, namespaces: bool, hidden=(), shown=(), needed=()) -> None:
    """Run `work()` in a sandbox, and end this process.

    Args:
        control: its other end is closed to end the worker; here goes why it ended, and what it used.
        folder: the only one that the worker may write to.
        hidden, shown: folders that look empty, and what can be read in them nevertheless.
        needed: files without which nobody cannot work.
    """
    os.setsid()
    adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first = os.fork()
    if not first:
        control.close()
        try:
            if namespaces:
                _in_namespaces(folder, hidden, shown)
            else:
                _become_nobody(folder, needed)
            _limit()
            _give_up_rights() if namespaces else None
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.closerange(3, control.fileno())  # the worker's end of its pipes is to close with the worker
    os.closerange(control.fileno() + 1, 1 << 16)
    reason = _watch(control, folder, first, namespaces)
    _end_descendants()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {"reason": reason, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss << 10}
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(report).encode())
    os._exit(0)


def _in_namespaces(folder, hidden, shown):
    _unshare()
    if os.fork():
        os._exit(0)  # the keeper is the parent of the next one now
    _mounts(folder, hidden, shown)
    worker = os.fork()
    if not worker:
        return
    os.closerange(0, 1 << 16)
    while True:
        ended, status = os.wait()
        if ended == worker:  # and with this process all others end
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _watch(control, folder, worker, namespaces):
    """Wait until the worker ends, must be ended, or is no longer wanted; return the reason."""
    looked = 0
    while True:
        if select.select([control], [], [], LOOK_SECONDS)[0]:
            return "no longer wanted"
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return "ended"
            if not ended:
                break
            code = os.waitstatus_to_exitcode(status)
            if ended == worker and namespaces and code == 0:
                worker = None  # it made the namespaces; the next child to end is the first process in them
            elif ended == worker or worker is None:
                number = -code if code < 0 else code - 128
                return f"was ended by signal {number}" if number > 0 else f"ended with exit code {code}"
        tree = descendants(os.getpid())
        if len(tree) > PROCESSES:
            return f"was ended: more than {PROCESSES} processes"
        if sum(tree.values()) > MEMORY_BYTES and sum(map(_proportional_bytes, tree)) > MEMORY_BYTES:
            return f"was ended: more than {MEMORY_BYTES / (1 << 30):g} GB of memory"
        if time.monotonic() - looked > 10 * LOOK_SECONDS:
            looked = time.monotonic()
            if _folder_bytes(folder) > FOLDER_BYTES:
                return f"was ended: more than {FOLDER_BYTES / (1 << 30):g} GB of files"


def cpu_seconds(ancestor: int) -> float:
    """Add up the processor time of all processes that descend from one, and of those that they waited for."""
    return sum(seconds for _, seconds in _descendants(ancestor).values())


def descendants(ancestor: int) -> dict[int, int]:
    """List the processes that descend from one, each with its resident memory in bytes."""
    return {process: memory for process, (memory, _) in _descendants(ancestor).items()}


def _descendants(ancestor):
    parents, used = {}, {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(name))
                ticks = sum(map(int, fields[11:15]))
                used[int(name)] = int(fields[21]) * resource.getpagesize(), ticks / os.sysconf("SC_CLK_TCK")
    found, left = {}, [ancestor]
    while left:
        for child in parents.get(left.pop(), ()):
            found[child] = used[child]
            left.append(child)
    return found


def _proportional_bytes(process):
    """Return the memory of a process, of what it shares only its share."""
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(process), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def _folder_bytes(folder):
    total, left = 0, [folder]
    while left:
        with contextlib.suppress(OSError):
            for entry in os.scandir(left.pop()):
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _end_descendants():
    """Stop all descendants, until there are no new ones, then end them."""
    ancestor, stopped = os.getpid(), set()
    while new := set(descendants(ancestor)) - stopped:
        for process in new:
            _signal(process, signal.SIGSTOP)
        stopped |= new
    give_up = time.monotonic() + 10
    while (left := descendants(ancestor)) and time.monotonic() < give_up:
        for process in left:
            _signal(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _signal(process, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def remove(folder: Path) -> None:
    """Remove the folder of a worker, also if it took rights away from itself."""
    for path, names, _ in os.walk(folder):
        for name in ["", *names]:
            with contextlib.suppress(OSError):
                if not os.path.islink(os.path.join(path, name)):
                    os.chmod(os.path.join(path, name), 0o700)
    shutil.rmtree(folder, ignore_errors=True)
