"""Models that bring code: refused, approved, loaded exactly, ignored."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.api.registry import Registry
from registry.errors import ForeignCode, NotLoadable
from tests.support import plain
from tests.support.custom_code import MODEL, change, model_with_code
from tests.support.refusals import raises

TEXTS = ["the patient takes one dose a day", "new doses"]
REGISTERING = """
from transformers import AutoConfig, AutoModel
AutoConfig.register("own_type", OwnConfig)
AutoModel.register(OwnConfig, OwnModel)
"""


def plain_encodings(folder: Path) -> Any:
    """Encode with plain Sentence Transformers, which runs the code of the folder."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), trust_remote_code=True).encode(TEXTS)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry; the modules of plain loading go to the test's folder."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "hf"))
    return registry.init(tmp_path / "home")


def test_code_is_refused_without_a_decision_and_nothing_of_it_runs(
    home: Registry, tmp_path: Path
) -> None:
    """Commands that only look at a folder or a version compile and import none of its files."""
    folder = model_with_code(tmp_path / "model", more=f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n")
    seen: list[str] = []
    is_active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if is_active and event in ("compile", "import"):
            seen.extend(str(argument) for argument in arguments if isinstance(argument, str))

    import sentence_transformers  # noqa: F401  (imports thousands of modules)

    sys.addaudithook(hook)  # it cannot be removed
    with raises(ForeignCode, "configuration_own.OwnConfig"):
        home.add(folder, "model")
    assert not any("modeling_own" in argument for argument in seen)
    version = home.add(folder, "model", trust_code=True, measure=False).version
    assert version is not None
    home.show("model@1")
    home.diff("model@1", "model@1")
    home.audit(full=True)
    home.check("model@1", measure=False)
    assert not (tmp_path / "ran").exists()
    assert not any("modeling_own" in argument for argument in seen)
    is_active = False
    home.load("model@1")
    assert (tmp_path / "ran").exists()


def test_approved_code_loads_exactly(home: Registry, tmp_path: Path) -> None:
    """The version, its checkout, a resized base and an adapter encode as plain loading does."""
    folder = model_with_code(tmp_path / "model")
    home.add(folder, "model", trust_code=True)
    expected = plain_encodings(folder)
    assert (home.load("model@1").encode(TEXTS) == expected).all()
    assert (plain_encodings(home.checkout("model@1").folder) == expected).all()
    home.resize("model@1", "resized", ["zorvaxin"])
    assert (home.load("resized").encode(TEXTS) == expected).all()
    assert [row.kind for row in home.log()].count("Approve") == 1
    kinds = [row.kind for row in home.log()]
    assert kinds[::-1][:4] == ["Init", "Format", "Register", "Approve"]


def test_code_of_another_repository_is_stored(home: Registry, tmp_path: Path) -> None:
    """The reference is rewritten, the original recorded, and the checkout loads offline."""
    folder = model_with_code(tmp_path / "model", repository="acme/impl.v1")
    with raises(ForeignCode, "acme/impl.v1"):
        home.add(folder, "model")
    version = home.add(folder, "model", trust_code=True, code=tmp_path / "code").version
    assert version is not None
    checkout = home.checkout("model@1").folder
    assert (checkout / "code" / "acme__impl_dot_v1" / "modeling_own.py").is_file()
    recorded = {file["path"]: file for file in version.source["converted"]["files"]}
    assert recorded["modeling_own.py"]["repository"] == "acme/impl.v1"
    assert recorded["config.json"]["size"] == (folder / "config.json").stat().st_size
    assert (plain_encodings(checkout) == home.load("model@1").encode(TEXTS)).all()


MODULE_WITH_KWARGS = """from sentence_transformers.base.modules import Module
from .first_part import factor_of

class Scale(Module):
    config_keys = ["factor"]

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, features, boost=1.0):
        scaled = features["sentence_embedding"] * factor_of(self) * boost
        return {**features, "sentence_embedding": scaled}

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)
"""
FIRST_PART = """from .second_part import SECOND

def factor_of(module):
    return module.factor * SECOND
"""
OLD_MODULE = """import json, os
import torch
from .first_part import factor_of

class Scale(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, features):
        features["sentence_embedding"] = features["sentence_embedding"] * factor_of(self)
        return features

    def save(self, output_path):
        with open(os.path.join(output_path, "config.json"), "w") as file:
            json.dump({"factor": self.factor}, file)

    @staticmethod
    def load(input_path):
        with open(os.path.join(input_path, "config.json")) as file:
            return Scale(**json.load(file))
"""


@pytest.mark.parametrize(
    ("module", "kwargs"),
    [(MODULE_WITH_KWARGS, ["boost"]), (OLD_MODULE, None)],
    ids=["module with kwargs", "old module"],
)
def test_a_module_type_with_code_two_files_deep_loads_exactly(
    home: Registry, tmp_path: Path, module: str, kwargs: list[str] | None
) -> None:
    """The entry of modules.json, its keyword arguments and all reached files are kept."""
    folder = plain.base(tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text())[:2]
    entry = {"idx": 2, "name": "2", "path": "2_Scale", "type": "scaling.Scale"}
    modules.append(entry if kwargs is None else {**entry, "kwargs": kwargs})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Scale").mkdir()
    (folder / "2_Scale" / "config.json").write_text('{"factor": 4.0}')
    (folder / "scaling.py").write_text(module)
    (folder / "first_part.py").write_text(FIRST_PART)
    (folder / "second_part.py").write_text("SECOND = 2.0\n")
    with raises(ForeignCode, "scaling.Scale"):
        home.add(folder, "model")
    home.add(folder, "model", trust_code=True)
    expected = plain_encodings(folder)
    model = home.load("model@1")
    assert (model.encode(TEXTS) == expected).all()
    checkout = home.checkout("model@1").folder
    assert (checkout / "second_part.py").is_file()
    assert (plain_encodings(checkout) == expected).all()
    if kwargs is not None:
        assert abs(model.encode(TEXTS, boost=3.0) - 3 * expected).max() < 1e-5
        home.resize("model@1", "resized", ["zorvaxin"])
        assert (home.load("resized").encode(TEXTS) == expected).all()


def test_two_versions_with_equal_names_run_their_own_code(home: Registry, tmp_path: Path) -> None:
    """In both orders, although one registers itself with the library."""
    from transformers import CONFIG_MAPPING

    home.add(model_with_code(tmp_path / "a" / "model"), "one", trust_code=True)
    second = model_with_code(tmp_path / "b" / "model", scale="4.0", more=REGISTERING)
    home.add(second, "two", trust_code=True)
    for order in (("one", "two"), ("two", "one")):
        encodings = {name: home.load(name).encode(TEXTS) for name in order}
        assert abs(encodings["two"] / encodings["one"] - 2).max() < 1e-5
    assert "own_type" not in CONFIG_MAPPING


def test_an_approval_is_withdrawn_or_overruled(
    home: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without approval, or on a machine that refuses all code, nothing loads."""
    home.add(model_with_code(tmp_path / "model"), "model", trust_code=True)
    approval = home.approve("model@1", undo=True)
    with raises(ForeignCode, approval.code):
        home.load("model@1")
    home.approve(approval.code)
    home.load("model@1")
    monkeypatch.setenv("REGISTRY_CODE", "never")
    with raises(ForeignCode, "REGISTRY_CODE", "'never'"):
        home.load("model@1")
    monkeypatch.delenv("REGISTRY_CODE")
    home.config("load.code", "never")
    with raises(ForeignCode, "'never'", "registry config --unset load.code"):
        home.load("model@1")
    monkeypatch.setenv("REGISTRY_CODE", "ask")
    home.load("model@1")


def test_one_changed_byte_needs_another_approval(home: Registry, tmp_path: Path) -> None:
    """The same code needs none under another name."""
    folder = model_with_code(tmp_path / "model")
    home.add(folder, "model", trust_code=True)
    home.add(folder, "again")
    (folder / "modeling_own.py").write_text(MODEL.format(scale="2.1"))
    with pytest.raises(ForeignCode):
        home.add(folder, "changed")


def test_planted_and_replaced_files_do_not_run(
    home: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytecode, a replaced copy in the modules cache and a module of the same name."""
    home.add(model_with_code(tmp_path / "model"), "model", trust_code=True)
    model = home.load("model@1")
    expected = model.encode(TEXTS)
    module = sys.modules[type(model[0].model).__module__]
    cached = Path(str(module.__file__))
    times = cached.stat()
    cached.write_text(cached.read_text().replace("* 2.0", "* 7.0"))
    os.utime(cached, ns=(times.st_atime_ns, times.st_mtime_ns))
    import py_compile

    evil = tmp_path / "evil.py"
    evil.write_text(MODEL.format(scale="9.0"))
    planted = cached.parent / "__pycache__" / f"modeling_own.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(
        str(evil),
        str(planted),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "modeling_own.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path / "cwd")
    assert (home.load("model@1").encode(TEXTS) == expected).all()


def without_file(folder: Path) -> None:
    """Remove a file that a relative import names."""
    (folder / "configuration_own.py").unlink()


def replaced(old: str, new: str) -> Callable[[Path], None]:
    """Replace text of modeling_own.py."""

    def edit(folder: Path) -> None:
        path = folder / "modeling_own.py"
        path.write_text(path.read_text().replace(old, new))

    return edit


def referring(text: str) -> Callable[[Path], None]:
    """Let auto_map refer to another class."""
    return lambda folder: change(folder / "config.json", auto_map={"AutoModel": text})


RELATIVE = "from .configuration_own import OwnConfig"


@pytest.mark.parametrize(
    ("edit", "quoted"),
    [
        (without_file, ["configuration_own.py"]),
        (replaced(RELATIVE, "from . import configuration_own"), ["from . import"]),
        (replaced(RELATIVE, "from .sub.configuration_own import OwnConfig"), ["sub"]),
        (replaced(RELATIVE, "from ..configuration_own import OwnConfig"), ["from .."]),
        (replaced(RELATIVE, "from configuration_own import OwnConfig"), ["configuration_own"]),
        (replaced(RELATIVE, f"import not_installed_here\n{RELATIVE}"), ["pip install not-inst"]),
        (replaced(RELATIVE, "from .configuration_own import ("), ["modeling_own.py"]),
        (referring("modeling_other.OwnModel"), ["modeling_other.py"]),
        (referring("package.modeling_own.OwnModel"), ["package.modeling_own.OwnModel"]),
        (referring("peft.PeftModel"), ["'peft'"]),
    ],
)
def test_code_that_loaders_cannot_follow_is_refused_by_name(
    home: Registry, tmp_path: Path, edit: Callable[[Path], None], quoted: list[str]
) -> None:
    """Also with --trust-code, before anything runs."""
    folder = model_with_code(tmp_path / "model")
    edit(folder)
    with raises(ForeignCode, *quoted):
        home.add(folder, "model", trust_code=True)


def test_a_library_class_that_auto_map_replaces_can_be_kept(home: Registry, tmp_path: Path) -> None:
    """Refused, or registered with --ignore-code, which is recorded for ever."""
    folder = plain.base(tmp_path / "model")
    change(folder / "config.json", auto_map={"AutoModel": "modeling_own.OwnModel"})
    (folder / "modeling_own.py").write_text("raise SystemExit(9)")
    with raises(ForeignCode, "'bert'"):
        home.add(folder, "model")
    version = home.add(folder, "model", ignore_code=True).version
    assert version is not None
    assert version.forced == ("custom-code",)
    assert version.source["converted"]["files"][0]["path"] == "modeling_own.py"
    home.load("model@1")


def test_auto_map_of_a_model_type_that_the_library_has_is_ignored(
    home: Registry, tmp_path: Path
) -> None:
    """If it names AutoConfig, the repository is older than the library's support."""
    folder = plain.base(tmp_path / "model")
    references = {
        "AutoConfig": "org/repo--configuration_x.BertConfig",
        "AutoModel": "org/repo--modeling_x.BertModel",
    }
    change(folder / "config.json", auto_map=references)
    with raises(ForeignCode, "--no-measure"):
        home.add(folder, "model", measure=False)
    added = home.add(folder, "model")
    assert added.version is not None
    assert added.warnings
    assert added.version.source["converted"]["files"][0]["repository"] == "org/repo"
    home.load("model@1")
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]})
    with raises(ForeignCode, "org/repo"):
        home.add(folder, "other")


def test_a_class_of_an_unapproved_file_is_refused(home: Registry, tmp_path: Path) -> None:
    """Code that brings in classes of files outside of the version."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "elsewhere.py").write_text(
        "import torch\nclass Elsewhere(torch.nn.Module):\n    pass\n"
    )
    more = (
        f"\nimport sys\nsys.path.append({str(outside)!r})\n"
        "try:\n    from elsewhere import Elsewhere\nexcept ImportError:\n    raise\n"
        "OwnModel.__init__ = lambda self, config, **kw: "
        "(BertModel.__init__(self, config, **kw), setattr(self, 'extra', Elsewhere()))[0]\n"
    )
    folder = model_with_code(tmp_path / "model", more=more)
    with raises(NotLoadable, "elsewhere.Elsewhere"):
        home.add(folder, "model", trust_code=True)
    assert [row.kind for row in home.log()] == ["Init"]  # no approval stays
