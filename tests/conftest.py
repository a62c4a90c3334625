"""The tiny profile: a few-layer random model with a small tokenizer, and a project that runs in seconds with it."""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Two threads that wait for each other while other tests use the same cores are ten times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from miniature import Miniature, make_miniature
from processor_time import ProcessorTime
from staged_project import make_staged_project

from tunegate.cli.init import project_files
from tunegate.files import read_yaml, sha256_of, write_text, write_yaml

if TYPE_CHECKING:
    from tunegate.engines.chat import Chat
    from tunegate.engines.openvino import OpenVINOEngine

TEMPLATE = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
FORKSERVER = pytest.StashKey["subprocess.Popen[bytes]"]()
LONG = (
    # Without commands: the fork server starts meanwhile.
    "training/test_loop.py",
    "training/techniques/test_semisupervised.py",
    "workflows/test_loop.py",
    "pipeline/test_repro.py",
    "training/parallel",
    "workflows",
    "pipeline",
    "experiments",
    "cli",
)
"""The files and folders whose tests take longest, below this folder."""
DESKS = {"roof": "the roof leaks above room", "heat": "no warm water in flat", "noise": "värmepumpen låter i hus"}


def pytest_configure(config: pytest.Config) -> None:
    """Start the fork server for the commands of a whole run; a single test is quicker without, unless one runs."""
    here = Path(__file__).parent / "forkserver"
    place = os.environ.get("TUNEGATE_TEST_FORKSERVER", "")
    if not (place or getattr(config.option, "numprocesses", None)):
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    if not place:
        folder = tempfile.mkdtemp(prefix="tunegate-tests-")
        place = os.environ["TUNEGATE_TEST_FORKSERVER"] = f"{folder}/socket"
        # It ends when this process does, whose end of the pipe closes then.
        config.stash[FORKSERVER] = subprocess.Popen([sys.executable, here / "server.py", place], stdin=subprocess.PIPE)
        config.add_cleanup(lambda: shutil.rmtree(folder))
    config.pluginmanager.register(ProcessorTime(Path(f"{place}.seconds")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes long: a long file that starts last keeps one processor busy and the others waiting."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: min(ranks.get(place, len(LONG)) for place in (item.path, *item.path.parents)))


@pytest.fixture(autouse=True)
def signals_use_the_stack_that_is_there() -> Iterator[None]:
    """OpenVINO gives the main thread a stack for signals and frees it with its last object: the next signal kills."""
    yield
    if "openvino_genai" in sys.modules:
        disabled = 2
        ctypes.CDLL(None).sigaltstack(struct.pack("PiN", 0, disabled, 0), None)


@pytest.fixture
def pickling_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Ray: functions are pickled as for its workers, and work here (test_engine.py has a real cluster)."""
    import cloudpickle  # type: ignore[import-untyped]

    def work(_: Any, function: Callable[[Any], Any], window: list[Any]) -> Iterator[Any]:
        return map(cloudpickle.loads(cloudpickle.dumps(function)), window)

    monkeypatch.setattr("tunegate.data.compute.engine._started", lambda: None)
    monkeypatch.setattr("tunegate.data.compute.engine._on_ray", work)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer Llama in fp32, its tokenizer and its chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "model"
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=384, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator([*DESKS.values(), *DESKS, "user", "assistant"] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token=special[0], bos_token=special[1], eos_token=special[2], pad_token=special[0]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.15,  # so that embeddings are long enough for a confident answer
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,  # the embedding of the padding token stays zero
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_rows() -> list[dict[str, str]]:
    """Questions to three desks; the wording gives the desk away."""
    return [
        {"id": f"{desk}-{number}", "text": f"{words} {number}", "label": desk}
        for number in range(20)
        for desk, words in DESKS.items()
    ]


@pytest.fixture(scope="session")
def make_project(tiny_model: Path, tiny_rows: list[dict[str, str]]) -> Callable[[Path], Path]:
    """A function that fills a folder with a project of the tiny profile: from `tunegate init`, own CSV, tiny base."""

    def make(folder: Path) -> Path:
        for path, text in project_files("tiny").items():
            write_text(folder / path, text)
        shutil.copytree(tiny_model, folder / "base-model")
        lines = ["id,text,label", *(f"{row['id']},{row['text']},{row['label']}" for row in tiny_rows)]
        write_text(folder / "data/raw/desks.csv", "\n".join(lines) + "\n")
        write_yaml(folder / "data/sources.yaml", {"sources": [{"name": "desks", "path": "data/raw/desks.csv"}]})
        files = {f.name: sha256_of(f) for f in sorted((folder / "base-model").iterdir())}
        entry = {"license": "MIT", "source": {"kind": "folder", "path": "base-model", "files": files}}
        write_yaml(folder / "models/catalog.yaml", {"models": {"tiny": entry}})
        params = read_yaml(folder / "params.yaml")
        params["base"] |= {"model": "tiny", "dtype": "float32"}
        params["train"] |= {
            "precision": "fp32",
            "epochs": 12,
            "learning_rate": 0.02,
            "tokens_per_step": 256,
            "checkpoint_every": 5,
        }
        params["evaluate"] |= {"max_new_tokens": 6}
        write_yaml(folder / "params.yaml", params)
        run("git", "init", "-q", "-b", "main", cwd=folder)
        run("git", "add", "-A", cwd=folder)
        run("git", "commit", "-qm", "A tiny project", cwd=folder)
        return folder

    return make


@pytest.fixture
def tiny_project(make_project: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A fresh project of the tiny profile in which nothing has run."""
    return make_project(tmp_path / "project")


def environment() -> dict[str, str]:
    """This process's environment with the interpreter's folder first in PATH and an identity for git."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_{what}": f"{who}@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return os.environ | names | {"PATH": path}


def run(*command: str, cwd: Path, code: int = 0) -> str:
    """Run a command; assert its exit code; return stdout and stderr together."""
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, f"{command} gave {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session", name="run")
def run_fixture() -> Callable[..., str]:
    """`run(*command, cwd=…, code=0)`: a command's output, its exit code asserted."""
    return run


@pytest.fixture(scope="session")
def tiny_package(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the untrained tiny model, as the stage `package` would lay it out. Copy it before changing it."""
    from transformers import AutoModelForCausalLM

    from tunegate.models.export import export_gguf
    from tunegate.models.manifest import LINEAGE_METADATA, MODEL_FILE, BaseModelRecord, write_manifest
    from tunegate.repository.lineage import Parts, lineage_of

    folder = tmp_path_factory.mktemp("package") / "package"
    folder.mkdir()
    lineage = lineage_of(Parts(**dict.fromkeys(Parts.model_fields, "0" * 64)))
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    export_gguf(model, tiny_model, folder / MODEL_FILE, "f16", {LINEAGE_METADATA: lineage.key})
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tiny_model / name, folder / name)
    write_manifest(
        folder,
        model="tiny",
        lineage=lineage,
        base=BaseModelRecord(name="tiny", license="MIT", sha256="0" * 64),
        metrics={"accuracy": 0.5},
        export="f16",
        merge_check={"largest_difference": 0.0},
    )
    return folder


@pytest.fixture(scope="session")
def chat(tiny_package: Path) -> "Chat":
    """Tokenizer and chat template of the tiny package, as the service uses them."""
    from tunegate.engines.chat import Chat

    return Chat(tiny_package)


@pytest.fixture(scope="session")
def engine(tiny_package: Path, chat: "Chat") -> Iterator["OpenVINOEngine"]:
    """The CPU engine, opened on the tiny package."""
    from tunegate.engines.openvino import OpenVINOEngine
    from tunegate.models.manifest import verify

    opened = OpenVINOEngine(tiny_package, verify(tiny_package), chat.eos_id)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def first_miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A miniature project (tests/miniature.py) that has run once and been committed. Read only."""
    project = make_miniature(tmp_path_factory.mktemp("miniature") / "project", project_files("tiny"), run)
    project.commit("The first model")
    return project


@pytest.fixture
def miniature(first_miniature: Miniature, tmp_path: Path) -> Miniature:
    """A copy of the miniature project, cache included."""
    return Miniature(Path(shutil.copytree(first_miniature.root, tmp_path / "project", symlinks=True)), run)


@pytest.fixture(scope="session")
def first_staged_project(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project of tests/staged_project.py, run from its sources to its tokens. Read only."""
    folder = tmp_path_factory.mktemp("way") / "project"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_staged_project(tiny_model)
    return folder


@pytest.fixture
def staged_project(first_staged_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    folder = Path(shutil.copytree(first_staged_project, tmp_path / "way"))
    monkeypatch.chdir(folder)
    return folder
