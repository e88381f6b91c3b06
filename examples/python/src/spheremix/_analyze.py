"""The analyst's figures: runs spheremix-analyze and reads its JSON."""
import os
from typing import Any, Dict, Optional, Sequence, Union

from . import io

# What only a call needs is imported by the call: it would be half of `import spheremix`.


def _program(given: Optional[Union[str, "os.PathLike[str]"]]) -> str:
    import shutil

    named = os.fspath(given) if given is not None else os.environ.get("SPHEREMIX_ANALYZE")
    if named:
        found = shutil.which(named)
        if not found:
            raise FileNotFoundError(f"analyze: {named} is not a program that can be run")
        return found
    found = shutil.which("spheremix-analyze")
    if not found:
        raise FileNotFoundError(
            "analyze: spheremix-analyze is not on the PATH: build it in the repository "
            "(cmake -S . -B build -DSPHEREMIX_EXAMPLES=ON && cmake --build build --target spheremix-analyze) "
            "and put it there, or name it by program= or SPHEREMIX_ANALYZE"
        )
    return found


def analyze(
    *,
    options: Sequence[str] = (),
    program: Optional[Union[str, "os.PathLike[str]"]] = None,
    **modalities: Any,
) -> Dict[str, Any]:
    """Every figure of docs/analyze.md as a dict, the JSON of spheremix-analyze.

        sx.analyze(image=x, text=y)["pairs"]
        sx.analyze(image="image.npy", text="text.npy", options=["--labels", "items.tsv:group"])

    modalities   arrays (n x d) or names of files that the program reads, in the order they are given
    options      further arguments of the program, as on the command line (docs/analyze.md)
    program      which spheremix-analyze; else SPHEREMIX_ANALYZE, else the PATH

    FileNotFoundError where there is no such program, ValueError with its sentence where it refuses its input.
    """
    import json
    import pathlib
    import subprocess
    import tempfile

    if not modalities:
        raise ValueError("analyze: no modality: analyze(image=x, text=y)")
    run = _program(program)
    with tempfile.TemporaryDirectory(prefix="spheremix-") as folder:
        command = [run]
        for name, rows in modalities.items():
            if isinstance(rows, (str, os.PathLike)):
                where = os.fspath(rows)
            else:
                where = str(pathlib.Path(folder) / f"{name}.npy")
                io.save_npy(where, rows)
            command += ["--modality", f"{name}={where}"]
        figures = pathlib.Path(folder) / "figures.json"
        done = subprocess.run([*command, *options, "--json", str(figures)], capture_output=True, text=True, check=False)
        if not figures.exists():
            sentence = done.stderr.strip() or f"spheremix-analyze ended with status {done.returncode}"
            raise ValueError(f"analyze: {sentence}")
        return json.loads(figures.read_text())
