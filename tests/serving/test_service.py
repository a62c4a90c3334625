import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from tunegate.files import read_text
from tunegate.models.manifest import FILE, MODEL_FILE

ROOT = Path(__file__).resolve().parents[2]

HELLO: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hej då"}]


def fetch(address: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def client(service: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service}/v1", api_key="pw", max_retries=0)


def test_the_official_client_gets_the_same_answer_plain_and_streamed(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=16)
    events = list(
        client.chat.completions.create(
            model="tiny", messages=HELLO, max_tokens=16, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [event.choices[0].delta.content or "" for event in events if event.choices]
    assert "".join(texts) == plain.choices[0].message.content
    assert len([text for text in texts if text]) > 1
    assert plain.usage is not None
    assert events[-1].usage is not None
    assert events[-1].usage.total_tokens == plain.usage.total_tokens
    assert [event.choices[0].finish_reason for event in events[-2:-1]] == [plain.choices[0].finish_reason]


def test_the_official_client_lists_the_model_and_understands_refusals(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="other", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="tiny", messages=HELLO, temperature=7)


def test_the_examples_in_the_guide_are_answered(service: str) -> None:
    guide = read_text(ROOT / "docs/serving.md").replace("http://127.0.0.1:3000", service)
    guide = guide.replace("permit-helpdesk", "tiny")
    for language, command in (("python", [sys.executable, "-c"]), ("console", ["bash", "-c"])):
        example = guide.split(f"```{language}\n")[1].split("```")[0]
        done = subprocess.run([*command, example], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert "error" not in done.stdout


def test_probes_lineage_and_nothing_else_answer(service: str, tiny_package: Path) -> None:
    assert fetch(f"{service}/livez")[0] == 200
    assert fetch(f"{service}/readyz")[0] == 200
    status, body = fetch(f"{service}/v1/lineage")
    reply, manifest = json.loads(body), json.loads((tiny_package / FILE).read_text())
    assert status == 200
    assert reply["lineage_key"] == manifest["lineage"]["key"]
    assert (reply["parts"], reply["metrics"]) == (manifest["lineage"]["parts"], manifest["metrics"])
    assert reply["commit"] is None, "the served folder is in no repository"
    for path in ("/", "/docs.json", "/static_content/index.css"):
        assert fetch(f"{service}{path}")[0] == 404
    assert fetch(f"{service}/v1/chat/completions", b"{secret")[0] == 400


@pytest.mark.parametrize("tamper", ["weights", "key"])
def test_a_tampered_package_is_not_served(
    make_served_project: Callable[[Path], Path],
    start_service: Callable[[Path], tuple[subprocess.Popen[str], int]],
    tmp_path: Path,
    tamper: str,
) -> None:
    package = make_served_project(tmp_path) / "models" / "package"
    if tamper == "weights":
        content = bytearray((package / MODEL_FILE).read_bytes())
        content[-1] ^= 1
        (package / MODEL_FILE).write_bytes(content)
    else:
        content_of = json.loads((package / FILE).read_text())
        content_of["lineage"]["key"] = "f" * 64
        (package / FILE).write_text(json.dumps(content_of))
    process, _port = start_service(tmp_path)
    output, _nothing = process.communicate(timeout=120)
    assert process.returncode == 3
    assert ("model.gguf has changed" if tamper == "weights" else "does not match its parts") in output
    assert "fix: " in output
    assert "Traceback" not in output
    assert "listening" not in output


def test_serving_loads_neither_torch_nor_what_trains(tiny_package: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
import tunegate.serving.service as s
folder = Path(sys.argv[1])
manifest, chat = s.verify(folder), s.Chat(folder)
engine = s.OpenVINOEngine(folder, manifest, chat.eos_id)
from tunegate.engines.protocol import Sampling
async def ask():
    return [x async for x in engine.generate(chat.prompt_ids([{"role": "user", "content": "hej"}]), Sampling(3))]
assert asyncio.run(ask())
engine.close()
print(sorted({"torch", "transformers", "peft", "mlflow", "dvc", "pandas", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program, tiny_package], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_service_listens_on_this_machine_only_unless_it_is_in_a_container() -> None:
    program = "import tunegate.serving.service as s; print(s.Service.config['http']['host'])"
    for name, host in (("", "127.0.0.1"), ("true", "0.0.0.0")):
        names = os.environ | {"BENTOML_CONTAINERIZED": name}
        done = subprocess.run([sys.executable, "-c", program], env=names, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == host, done.stderr
