"""Puts Jenkins's schema of JUnit reports into this virtual environment: that which the source archive of pytest, pinned with
its hash in requirements-dev.txt, has in it. `make` runs this once; it is not in the wheel of pytest, and not copied here.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SCHEMA = Path(sys.prefix) / "junit-10.xsd"


def main() -> None:
    text = (Path(__file__).parent.parent / "requirements-dev.txt").read_text()
    [pinned] = re.findall(r"^pytest==.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pytest.txt").write_text("".join(line for line in pinned.splitlines(keepends=True) if "# via" not in line))
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", "pytest"]
        subprocess.run([*pip, "--require-hashes", "--dest", folder, "--requirement", f"{folder}/pytest.txt"], check=True)
        [archive] = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as files:
            [member] = [name for name in files.getnames() if name.endswith("/junit-10.xsd")]
            SCHEMA.write_bytes(files.extractfile(member).read())


if __name__ == "__main__":
    main()
