"""Creates a directory with what `pip install NAME...` installs, from packages that are already installed. No network.

    PYTHON pip_install.py FOLDER NAME...

Links the files of these distributions and of their dependencies into FOLDER. Fails if one is not installed; add it to
requirements.txt. This shows that a list of packages in a document is complete.
"""
import importlib.metadata
import re
import sys
from pathlib import Path


def with_requirements(names: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """Returns the distributions and their dependencies, without optional extras."""
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
