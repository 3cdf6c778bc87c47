"""Writes what the fuzzers begin with: texts of the recordings, the shipped resources and the tests.

Run from anywhere; the corpora are tests/fuzz/corpus/TARGET, where libFuzzer adds what it finds.
"""

import hashlib
import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


def requests():
    """Everything that was sent to a daprd, as (what was done, the scenario's resources)."""
    for path in sorted((ROOT / "tests/data/conformance").glob("*.json")):
        scenario = json.loads(path.read_text())
        resources = [
            text.replace("{redis}", "127.0.0.1:6379").replace("{redis_port}", "6379")
            for text in scenario["resources"].values()
        ]
        for step in scenario["steps"]:
            yield step["do"], resources


def lines(text):
    """The lines of a table of test cases, without its comments."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def grpc_items(request):
    """The items that a gRPC request names, wherever they stand in it."""
    yield request
    yield from request.get("states", [])
    for operation in request.get("operations", []):
        yield operation.get("request", {})


def collect():
    seeds = {}

    def add(target, text):
        seeds.setdefault(target, set()).add(text)

    files = set()
    for done, resources in requests():
        files.update(resources)
        if "http" in done:
            add("http_path", done["path"])
            body = done["body"] or ""
            add("json_compact", body)
            add("http_body_transaction" if "/transaction" in done["path"] else "http_body_save", body)
        for item in grpc_items(done.get("request", {})):
            etag = (item.get("etag") or {}).get("value", "")
            ttl = (item.get("metadata") or {}).get("ttlInSeconds", "")
            add("etag_ttl", f"{etag}\n{ttl}")
            add("keys", f"appid\napp\nstatestore\nns\n{item.get('key', '')}")
    files.update(path.read_text() for path in (ROOT / "resources").glob("*.yaml"))
    files.update(path.read_text() for path in (ROOT / "src/fuzzing/tests").glob("*.yaml"))
    for text in files:
        add("yaml_resources", text)
        for rule in re.findall(r"^ *trip: (.*)$", text, re.M):
            add("trip_rule", rule.strip("\"'"))
        for prefix in re.findall(r"name: keyPrefix\n *value: (.*)$", text, re.M):
            prefix = prefix.strip("\"'")
            add("keys", f"{prefix}\nprobe\nstatestore\nns1\nk")
            add("placeholders", prefix)
    for row in lines((ROOT / "src/http/state/tests/recorded.tsv").read_text()):
        route, body, _ = row.split("\t", 2)
        add("http_body_transaction" if route == "tx" else "http_body_save", body)
        add("json_compact", body)
    for row in lines((ROOT / "src/api/json/recorded.txt").read_text()):
        add("json_compact", row.split(" => ")[0])
    add("placeholders", '{uuid} {podName} {namespace} {appID} $HOST ${HOST} $$\n{"a": {"b": ["c", 1, null]}}')
    for text in re.findall(r'\("([^"\\]+)", ', (ROOT / "src/go_text/tests.rs").read_text()):
        add("durations", text)
    return seeds


if __name__ == "__main__":
    for target, texts in collect().items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for text in texts:
            data = text.encode()
            (folder / ("seed-" + hashlib.sha256(data).hexdigest()[:16])).write_bytes(data)
        print(f"{target}: {len(texts)} seeds")
