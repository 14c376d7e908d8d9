"""The beginning of the one-file archive that `make onefile` makes: its __main__.py.

The archive holds the program as it lies in a virtual environment, in lib/. Each run unpacks it into a new folder of its own,
mode 0700, which it removes at its end: no cache that another user could fill or two runs could race for, and PyYAML's
C extension, which Python can't load from an archive, works (where the Python or the platform is another than that of the build,
PyYAML does without, and so does jsonschema in the version that the archive carries). What keeps it from starting ends as the
program would: one JSON document, a line on stderr, and an exit code that is no verdict.
"""

import sys

import rollout_status_start as start

if __name__ == "__main__":
    start.listen()  # before all that takes its time

import signal
import tempfile
import zipfile


def main() -> int:
    """The exit code of the program, which runs from a folder that it has unpacked itself into."""
    start.prepare()
    argv = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, start.SIGNALS)  # until it is known what to remove
    try:
        folder = tempfile.TemporaryDirectory(prefix="rollout-status-")
    except OSError as error:
        return start.refuse(argv, f"it has no folder to unpack itself into: {error}; set TMPDIR")
    start.LAST_WISHES.append(folder.cleanup)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, start.SIGNALS)
    with folder:
        try:
            with zipfile.ZipFile(sys.path[0]) as archive:
                archive.extractall(folder.name, [name for name in archive.namelist() if name.startswith("lib/")])
        except OSError as error:
            return start.refuse(argv, f"it cannot unpack itself into {folder.name}: {error}; set TMPDIR to a folder with 8 MB to spare")
        sys.path[0] = folder.name + "/lib"
        sys.dont_write_bytecode = True  # the folder is removed at the end
        import rollout_status  # noqa: PLC0415, only now is it there

        return rollout_status.main()


if __name__ == "__main__":
    sys.exit(main())
