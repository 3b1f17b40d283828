"""What `pip install NAME...` makes importable, made of packages that are installed already, without a network.

    PYTHON pip_install.py FOLDER NAME...

Links the files of these distributions, and of all that they need, into FOLDER. Fails for one that is not installed,
which requirements.txt has to name. So a list that a document gives is shown to be complete.
"""
import importlib.metadata
import re
import sys
from pathlib import Path


def with_requirements(names: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """The distributions and what they need, optional extras left out."""
    known: dict[str, importlib.metadata.Distribution] = {}
    while names:
        name = names.pop().lower()
        if name not in known:
            known[name] = importlib.metadata.distribution(name)
            needed = known[name].requires or []
            names += [re.match(r"[\w.-]+", needs)[0] for needs in needed if "extra ==" not in needs]
    return known


def main(folder: Path, names: list[str]) -> None:
    for distribution in with_requirements(names).values():
        for file in distribution.files or []:
            link = folder / file
            if ".." in file.parts or "__pycache__" in file.parts or link.exists():
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(distribution.locate_file(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
