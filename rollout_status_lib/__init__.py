"""What all modules share: the version, the place of the data files, and a name for JSON values."""

from pathlib import Path
from typing import Any

__version__ = "0.2.0"

Json = Any  # what json.loads returns
DEMO = Path(__file__).resolve().parent / "demo"  # the recording that `demo` replays


def find_data(*names: str) -> Path:
    """The path of a data file or folder, like `rules` or `schema.json`.

    In a wheel the data lies inside this package; in a checkout and in a copied folder it lies beside the package.
    """
    package = Path(__file__).resolve().parent
    packed = package / "data"
    return (packed if packed.is_dir() else package.parent).joinpath(*names)
