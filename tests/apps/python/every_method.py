"""Calls every public method by which the Dapr Python SDK's clients reach state, health and metadata,
checks every answer, and shuts the sidecar down at its end. Exits with 1 at the first answer that is
not the expected one.

CLIENT      "aio" for the asynchronous client (default: the blocking one)
KEY, VALUE  what every key and value of this program begins with
"""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
import warnings

import dapr.aio.clients
import dapr.clients
from dapr.aio.clients.health import DaprHealth as AsyncHealth
from dapr.clients.exceptions import DaprGrpcError, DaprInternalError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateItem, StateOptions
from dapr.clients.health import DaprHealth
from grpc import RpcError, StatusCode

STORE = "statestore"
IS_ASYNC = os.environ.get("CLIENT") == "aio"
MEBIBYTE = 1024 * 1024
FIRST_WRITE = StateOptions(Consistency.strong, Concurrency.first_write)
LAST_WRITE = StateOptions(Consistency.eventual, Concurrency.last_write)


def key(name: str) -> str:
    return os.environ.get("KEY", "") + name


def value(name: str) -> str:
    return os.environ.get("VALUE", "") + name


async def answer(result):
    """What a method of either client answers."""
    return await result if inspect.isawaitable(result) else result


async def get(client, name: str) -> bytes:
    return (await answer(client.get_state(STORE, key(name)))).data


async def save(client, name: str, data, **more) -> None:
    await answer(client.save_state(STORE, key(name), data, **more))


async def etag(client, name: str) -> str:
    return (await answer(client.get_state(STORE, key(name)))).etag


async def assert_refused(call, code: StatusCode, reason: str | None, message: str) -> None:
    """The message is a beginning, since what follows is the state store's."""
    try:
        found = await answer(call())
    except (RpcError, DaprInternalError) as raised:
        # Some methods of the asynchronous client hide what they got behind an error of their own.
        hides = isinstance(raised, DaprInternalError)
        error = DaprGrpcError(raised.__cause__) if hides else raised
        assert error.code() is code, (error.code(), error.details())
        assert error.details().startswith(message), error.details()
        if reason:
            assert error.error_code() == reason, error.error_code()
        return
    raise AssertionError(f"not refused: {found}")


async def gone_soon(client, name: str) -> None:
    end = time.monotonic() + 5
    while await get(client, name):
        assert time.monotonic() < end, "the key lives on"
        await asyncio.sleep(0.1)


async def wait_for_sidecar(client) -> None:
    await answer(client.wait(5))
    health = AsyncHealth if IS_ASYNC else DaprHealth
    await answer(health.wait_for_sidecar())


async def save_and_get(client) -> None:
    document = json.dumps({"text": value("document"), "number": 1.5, "list": [1, None, True]})
    await save(client, "document", document)
    assert await get(client, "document") == document.encode()
    raw = bytes(range(256))
    await save(client, "raw", raw)
    assert await get(client, "raw") == raw
    name = "with spaces, ünd mehr: #/%"
    await save(client, name, value("name"), options=LAST_WRITE, state_metadata={"any": "thing"})
    found = await answer(client.get_state(STORE, key(name), state_metadata={"any": "thing"}))
    assert (found.text(), found.etag) == (value("name"), "1")
    missing = await answer(client.get_state(STORE, key("missing")))
    assert (missing.data, missing.etag) == (b"", "")


async def save_bulk_and_get_bulk(client) -> None:
    first = StateItem(key=key("bulk-1"), value=value("bulk-1"))
    second = StateItem(key=key("bulk-2"), value=b"2", metadata={"ttlInSeconds": "60"})
    await answer(client.save_bulk_state(STORE, [first, second]))
    keys = [key(name) for name in ("bulk-1", "missing", "bulk-2")]
    found = await answer(client.get_bulk_state(STORE, keys, parallelism=2))
    answers = {item.key: (item.data, item.etag, item.error) for item in found.items}
    expected = [(value("bulk-1").encode(), "1", ""), (b"", "", ""), (b"2", "1", "")]
    assert answers == dict(zip(keys, expected)), answers


async def delete(client) -> None:
    for options in (None, LAST_WRITE):
        await save(client, "gone", "1")
        await answer(client.delete_state(STORE, key("gone"), options=options))
        assert await get(client, "gone") == b""
    await answer(client.delete_state(STORE, key("gone")))


async def etags(client) -> None:
    await save(client, "etag", "1")
    await save(client, "etag", "2", etag="1")
    assert await etag(client, "etag") == "2"
    failed = "failed saving state in state store statestore: "
    mismatch = "possible etag mismatch. error from state store: "
    await assert_refused(
        lambda: client.save_state(STORE, key("etag"), "3", etag="1"),
        StatusCode.ABORTED,
        "ERR_STATE_SAVE",
        failed + mismatch,
    )
    await assert_refused(
        lambda: client.save_state(STORE, key("etag"), "3", etag="abc"),
        StatusCode.INVALID_ARGUMENT,
        "ERR_STATE_SAVE",
        f'{failed}invalid etag value: strconv.Atoi: parsing "abc": invalid syntax',
    )
    await assert_refused(
        lambda: client.delete_state(STORE, key("etag"), etag="1"),
        StatusCode.ABORTED,
        "ERR_STATE_DELETE",
        f"failed deleting state with key {key('etag')}: {mismatch}",
    )
    items = [
        StateItem(key=key("bulk-etag"), value="1"),
        StateItem(key=key("etag"), value="3", etag="1"),
    ]
    await assert_refused(
        lambda: client.save_bulk_state(STORE, items),
        StatusCode.ABORTED,
        "ERR_STATE_SAVE",
        failed + mismatch,
    )
    assert await get(client, "etag") == b"2"
    await answer(client.delete_state(STORE, key("etag"), etag="2"))
    assert await get(client, "etag") == b""


async def concurrency(client) -> None:
    await save(client, "first", "1", options=FIRST_WRITE)
    await assert_refused(
        lambda: client.save_state(STORE, key("first"), "2", options=FIRST_WRITE),
        StatusCode.INTERNAL,
        "ERR_STATE_SAVE",
        "failed saving state in state store statestore: failed to set key ",
    )
    await save(client, "first", "2", etag="1", options=FIRST_WRITE)
    assert await get(client, "first") == b"2"
    await save(client, "last", "1", options=LAST_WRITE)
    await save(client, "last", "2", etag="9", options=LAST_WRITE)
    assert await get(client, "last") == b"2"


async def time_to_live(client) -> None:
    await save(client, "ttl", "1", state_metadata={"ttlInSeconds": "1"})
    assert await get(client, "ttl") == b"1"
    await gone_soon(client, "ttl")
    await save(client, "long", "1", state_metadata={"ttlInSeconds": "100"})
    await save(client, "forever", "1", state_metadata={"ttlInSeconds": "100"})
    await save(client, "forever", "2", state_metadata={"ttlInSeconds": "-1"})
    await assert_refused(
        lambda: client.save_state(
            STORE, key("ttl"), "1", state_metadata={"ttlInSeconds": "soon"}
        ),
        StatusCode.INTERNAL,
        "ERR_STATE_SAVE",
        "failed saving state in state store statestore: failed to parse ttl from metadata: ",
    )


def operation(kind: TransactionOperationType, name: str, data=None, **more):
    return TransactionalStateOperation(key(name), data, operation_type=kind, **more)


async def transaction(client) -> None:
    upsert, remove = TransactionOperationType.upsert, TransactionOperationType.delete
    await save(client, "old", "1")
    operations = [
        operation(upsert, "new", value("new")),
        operation(upsert, "old", "2", etag="1"),
        operation(upsert, "brief", "1", metadata={"ttlInSeconds": "1"}),
        operation(remove, "missing"),
    ]
    metadata = {"source": "every-method"}
    await answer(client.execute_state_transaction(STORE, operations, metadata))
    assert await get(client, "new") == value("new").encode()
    assert await etag(client, "old") == "2"
    await gone_soon(client, "brief")
    operations = [operation(remove, "new"), operation(upsert, "old", "3", etag="1")]
    await assert_refused(
        lambda: client.execute_state_transaction(STORE, operations),
        StatusCode.INTERNAL,
        "ERR_STATE_TRANSACTION",
        "error while executing state transaction: ",
    )
    assert await etag(client, "old") == "2"
    assert await etag(client, "new") == ""


async def refusals(client) -> None:
    operations = [operation(TransactionOperationType.upsert, "a", "1")]
    for call in (
        lambda: client.save_state("nowhere", key("a"), "1"),
        lambda: client.save_bulk_state("nowhere", [StateItem(key=key("a"), value="1")]),
        lambda: client.get_state("nowhere", key("a")),
        lambda: client.get_bulk_state("nowhere", [key("a")]),
        lambda: client.delete_state("nowhere", key("a")),
        lambda: client.execute_state_transaction("nowhere", operations),
    ):
        message = "state store nowhere is not found"
        await assert_refused(call, StatusCode.INVALID_ARGUMENT, "DAPR_STATE_NOT_FOUND", message)
    bad = key("a||b")
    for call in (
        lambda: client.save_state(STORE, bad, "1"),
        lambda: client.get_state(STORE, bad),
        lambda: client.delete_state(STORE, bad),
    ):
        message = f"input key/keyPrefix '{bad}' can't contain '||'"
        await assert_refused(call, StatusCode.INVALID_ARGUMENT, "DAPR_STATE_ILLEGAL_KEY", message)
    await assert_refused(
        lambda: client.save_state(STORE, "", "1"),
        StatusCode.INVALID_ARGUMENT,
        "ERR_STATE_SAVE",
        "state key cannot be empty",
    )
    await assert_refused(
        lambda: client.query_state(STORE, '{"filter": {}}'),
        StatusCode.INTERNAL,
        "DAPR_STATE_QUERY_FAILED",
        "state store statestore query failed: redis-json server support is required",
    )


async def sizes(client) -> None:
    await assert_refused(
        lambda: client.save_state(STORE, key("large"), b"x" * 5 * MEBIBYTE),
        StatusCode.RESOURCE_EXHAUSTED,
        None,
        "grpc: received message larger than max (",
    )
    assert await get(client, "large") == b""
    large = b"x" * 3 * MEBIBYTE
    await save(client, "large", large)
    assert await get(client, "large") == large


async def metadata(client) -> None:
    await answer(client.set_metadata("colour", "blue"))
    found = await answer(client.get_metadata())
    assert found.application_id == os.environ["APP_ID"]
    assert found.extended_metadata["colour"] == "blue"
    (component,) = found.registered_components
    assert (component.name, component.type) == (STORE, "state.redis")
    assert {"ETAG", "TRANSACTIONAL", "TTL"} <= set(component.capabilities), component.capabilities


async def shutdown(client) -> None:
    await answer(client.shutdown())


async def call_everything(client) -> int:
    checks = (
        wait_for_sidecar,
        save_and_get,
        save_bulk_and_get_bulk,
        delete,
        etags,
        concurrency,
        time_to_live,
        transaction,
        refusals,
        sizes,
        metadata,
    )
    for check in checks:
        try:
            await check(client)
        except Exception:
            traceback.print_exc()
            print(f"{check.__name__}: see above", file=sys.stderr)
            return 1
        print(f"ok: {check.__name__}", flush=True)
    await shutdown(client)
    print("ok: Shutdown", flush=True)
    return 0


async def main() -> int:
    # The SDK warns of its own deprecated and unfinished methods, which are called all the same.
    warnings.filterwarnings("ignore", module="__main__")
    if IS_ASYNC:
        async with dapr.aio.clients.DaprClient() as client:
            return await call_everything(client)
    with dapr.clients.DaprClient() as client:
        return await call_everything(client)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
