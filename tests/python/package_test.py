"""The package as a whole: every public C++ name is there, has a text and a stub; examples of the pages run."""
import ast
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import spheremix as sx

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("sphere", "mixup", "metrics", "losses", "io", "core")

# Names that are no calls of a Python user: parts of headers, types that Python has itself, C++ conveniences.
NOT_HERE = {
    "sphere": {"over_row", "width", "sgd_step", "adam_step"},  # steps change rows in place: a trainer in C++
    "io": {"half_value", "half_bits", "parse_npy_header", "size_of", "name_of", "shown_path", "path_of"},
    "core": None,  # the machinery; Philox is asked for below
}


def public_functions(folder):
    """Functions of a folder's headers outside detail."""
    names = set()
    for path in (ROOT / "include/spheremix" / folder).glob("*.hpp"):
        text = path.read_text()
        text = re.sub(r"namespace detail \{.*?\n\}  // namespace detail", "", text, flags=re.S)
        text = re.sub(r"namespace [\w:]*::detail \{.*?\n\}  // namespace [\w:]*detail", "", text, flags=re.S)
        text = re.sub(r"^(?:class|struct) \w+[^;]*?\{.*?^\};", "", text, flags=re.S | re.M)
        text = re.sub(r"//.*", "", text)
        names |= set(re.findall(r"^(?:template.*?\n)?(?:\[\[nodiscard\]\] )?(?:inline )?[\w:<>&\* ,]*?[\w>&\*] (\w+)\((?:const|Index|double|int|X|core)", text, flags=re.M))
    return {n for n in names if n not in ("defined", "requires", "if", "for", "while", "return", "expects")}


@pytest.mark.parametrize("folder", ["sphere", "mixup", "metrics", "losses"])
def test_every_public_function_is_here(folder):
    wanted = public_functions(folder) - NOT_HERE.get(folder, set())
    assert len(wanted) >= 8, "the headers were not understood"
    here = set(dir(getattr(sx, folder)))
    assert not wanted - here, f"sx.{folder} lacks {sorted(wanted - here)}: bind them in examples/python/native"


OF_SEVERAL = {"PartnerMixOptions": ["v_mix", "l_mix"], "TargetMixOptions": ["vl_mix"], "M3MixOptionsOf": ["m3_mix"]}
FLAGS = {"spectrum": ["singular_values"], "normalize": ["normalize", "normalize_rows", "normalize_rows_vjp"], "save_npy": ["save_npy"]}
FLAGS["calibration"] = ["calibration_bins", "expected_calibration_error"]
FLAGS["zero_shot"] = ["zero_shot_accuracy"]


def option_structs():
    """struct -> its fields, of all headers."""
    for path in (ROOT / "include/spheremix").glob("*/*.hpp"):
        for name, body in re.findall(r"^struct (\w+Options(?:Of)?) \{\n(.*?)^\};", path.read_text(), flags=re.S | re.M):
            fields = re.findall(r"^  [\w:<>]+ (\w+)(?: =|\{)", re.sub(r"^  [^\n]*\).*", "", body, flags=re.M) if "(" not in body else body, flags=re.M)
            yield name, [f for f in fields if f not in ("weigh",)]


def test_every_option_is_a_keyword():
    seen = 0
    everything = {n: getattr(m, n) for m in (sx.io, sx.sphere, sx.metrics, sx.losses) for n in dir(m)}
    for struct, fields in option_structs():
        if struct in ("SgdOptions", "AdamOptions"):
            continue
        base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", struct.removesuffix("Of").removesuffix("Options")).lower()
        base = {"m2_mix": "m2_mix", "clip_m2_mix": "clip_m2_mix", "vmix": "v_mix", "rank_ncontrast": "rank_n_contrast"}.get(base, base)
        functions = OF_SEVERAL.get(struct) or FLAGS.get(base) or [base]
        assert functions[0] in everything, f"{struct}: {functions[0]} is not there"
        for function in functions:
            for field in fields:
                seen += 1
                assert re.search(rf"\b{field}: ", everything[function].__doc__), f"{function} lacks the option {field}"
    assert seen > 100, seen


def test_names_of_core_and_io():
    assert {"load_npy", "save_npy", "NpyFile", "FvecsFile", "FbinFile", "Dtype", "Error"} <= set(dir(sx.io))
    assert repr(sx.core.Philox(3, step=2)) == "Philox(seed=3, step=2)"


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts(folder):
    """Every function says what it computes: the header's head, not an empty line."""
    module = getattr(sx, folder)
    for name in dir(module):
        thing = getattr(module, name)
        if name.startswith("_") or not callable(thing) or isinstance(thing, type) or name in ("annotations",):
            continue
        least = 120 if thing.__module__.startswith("spheremix._native") else 50
        assert thing.__doc__ and len(thing.__doc__) > least, (folder, name)
    assert "InfoNCE in both directions" in sx.losses.clip.__doc__ and "temperature: float = 0.07" in sx.losses.clip.__doc__
    assert "bf16" not in sx.losses.clip.__doc__ and "slerp" in sx.sphere.slerp_rows.__doc__


def test_stubs():
    folder = pathlib.Path(sx.__file__).parent
    assert (folder / "py.typed").exists()
    for name in FOLDERS:
        tree = ast.parse((folder / "_native" / f"{name}.pyi").read_text())
        declared = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        native = {n for n in dir(getattr(sx._native, name)) if not n.startswith("_")}
        assert native == declared, (name, native ^ declared)


TYPED = """
import numpy as np
import spheremix as sx
x = np.zeros((3, 2))
g = sx.losses.clip_with_gradient(x, x, temperature=0.1)
loss: float = g.loss
ranks: list[float] = sx.metrics.retrieval(x, x, k=[1]).recall
rng = sx.core.Philox(1)
sx.losses.sup_remix(x, [0, 1, 2], rng, weighting="squared")
sx.losses.m3_mix(x, x, sx.losses.MixLambdas(0.1, 0.2, 0.3, 0.4), partners=[1, 2, 0])
"""


def test_types(tmp_path):
    pytest.importorskip("mypy")
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(TYPED)
    bad.write_text(TYPED + "sx.losses.clip(x)\nword: str = g.loss\n")
    run = lambda path: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(path)], capture_output=True, text=True
    )
    done = run(good)
    assert done.returncode == 0, done.stdout
    done = run(bad)
    assert done.returncode == 1 and len(re.findall(r"^.*bad.py:\d+: error", done.stdout, flags=re.M)) == 2, done.stdout


def test_start_up_imports_little():
    """Neither NumPy nor what analyze alone needs."""
    code = "import sys; before = set(sys.modules); import spheremix; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout.split()
    assert "spheremix._analyze" in loaded
    assert not {"numpy", "json", "pathlib", "shutil", "subprocess", "tempfile", "torch"} & set(loaded)


def snippets(path):
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), flags=re.S)


@pytest.mark.parametrize("path", ["examples/python/README.md"])
def test_snippets_run(path):
    found = snippets(path)
    assert found
    for code in found:
        if "torch" in code:
            pytest.importorskip("torch")
        exec(compile(code, path, "exec"), {})


def test_targets_of_the_page():
    """The block of docs/python.md."""
    rng = sx.core.Philox(1)
    pictures = sx.sphere.sample_uniform(4, 64, rng)
    captions = sx.sphere.sample_uniform(8, 64, rng)
    picture_of_caption = np.array([0, 0, 1, 1, 2, 2, 3, 3])

    # Targets: each picture is to find every caption with its id, and each caption its picture.
    targets = sx.losses.ids(np.arange(4), picture_of_caption)
    g = sx.losses.clip_with_gradient(pictures, captions, targets, temperature=0.1)
    assert g.x.shape == (4, 64) and g.y.shape == (8, 64)

    # Excluded: a row a caption, each with its own caption; other captions of the picture are not pushed away.
    shown = pictures[picture_of_caption]
    same = sx.losses.ids(picture_of_caption, picture_of_caption)
    masked = sx.losses.clip(shown, captions, temperature=0.1, exclude=same)
    assert masked < sx.losses.clip(shown, captions, temperature=0.1)
