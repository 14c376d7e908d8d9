"""Downloads kubectl for this machine: kubectl.py URL "ARCH:SHA256 ..." FILE; what has another checksum is not written."""

import hashlib
import platform
import sys
import urllib.request
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def main(release: str, checksums: str, file: str) -> None:
    machine = platform.machine()
    architecture = ARCHITECTURES.get(machine, machine)
    expected = dict(each.split(":") for each in checksums.split()).get(architecture)
    if not expected:
        sys.exit(f"there is no checksum of kubectl for {architecture}: add it to KUBECTL_SHA256")
    with urllib.request.urlopen(f"{release}/bin/linux/{architecture}/kubectl", timeout=300) as answer:  # noqa: S310, the Dockerfile says which
        program = answer.read()
    if (found := hashlib.sha256(program).hexdigest()) != expected:
        sys.exit(f"kubectl has the checksum {found}, not {expected}")
    Path(file).write_bytes(program)
    Path(file).chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
