"""The beginning of the one-file archive that `make onefile` makes: its __main__.py.

The archive holds the program as it lies in a virtual environment, in lib/. Each run unpacks it into a new folder of its own,
mode 0700, which it removes at its end: no cache that another user could fill or two runs could race for, and PyYAML's
C extension, which Python can't load from an archive, works (where the Python or the platform is another than that of the build,
PyYAML does without, and so does jsonschema in the version that the archive carries). What keeps it from starting ends as the
program would: one JSON document, a line on stderr, and an exit code that is no verdict.
"""

import json
import sys
import tempfile
import zipfile


def refused(message: str) -> int:
    """The exit code of what is no verdict, after its document and a line on stderr."""
    error = {"code": "internal", "type": "program", "message": message}
    print(json.dumps({"success": False, "error": error}, indent=2))
    print(message, file=sys.stderr)
    return 70


def main() -> int:
    """The exit code of the program, which runs from a folder that it has unpacked itself into."""
    if sys.version_info < (3, 10):  # noqa: UP036, an archive starts with whatever python3 there is
        return refused(f"rollout-status needs Python 3.10 or later; this is {sys.version.split()[0]}")
    try:
        folder = tempfile.TemporaryDirectory(prefix="rollout-status-")
    except OSError as error:
        return refused(f"rollout-status has no folder to unpack itself into: {error}; set TMPDIR")
    with folder:
        try:
            with zipfile.ZipFile(sys.path[0]) as archive:
                archive.extractall(folder.name, [name for name in archive.namelist() if name.startswith("lib/")])
        except OSError as error:
            return refused(f"rollout-status cannot unpack itself into {folder.name}: {error}; set TMPDIR to a folder with 8 MB to spare")
        sys.path[0] = folder.name + "/lib"
        import rollout_status  # noqa: PLC0415, only now is it there

        return rollout_status.main()


if __name__ == "__main__":
    sys.exit(main())
