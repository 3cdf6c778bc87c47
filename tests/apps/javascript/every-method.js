// Calls every public method by which the Dapr JavaScript SDK's client reaches state, health and
// metadata, checks every answer, and shuts the sidecar down at its end. Exits with 1 at the first
// answer that is not the expected one.
//
// DAPR_PROTOCOL  "grpc" or "http" (default)
// KEY, VALUE     what every key and value of this program begins with

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import {
  CommunicationProtocolEnum,
  DaprClient,
  StateConcurrencyEnum,
  StateConsistencyEnum,
} from "@dapr/dapr";

import { assertRefused } from "./refusals.js";

const STORE = "statestore";
const APP_ID = process.env.APP_ID;
const { CONCURRENCY_FIRST_WRITE: FIRST_WRITE, CONCURRENCY_LAST_WRITE: LAST_WRITE } =
  StateConcurrencyEnum;
const { CONSISTENCY_EVENTUAL: EVENTUAL, CONSISTENCY_STRONG: STRONG } = StateConsistencyEnum;
const MEBIBYTE = 1024 * 1024;

const grpc = process.env.DAPR_PROTOCOL === "grpc";
const said = [];
const hear = (...words) => said.push(words.join(" "));
const client = new DaprClient({
  daprPort: grpc ? process.env.DAPR_GRPC_PORT : process.env.DAPR_HTTP_PORT,
  communicationProtocol: grpc ? CommunicationProtocolEnum.GRPC : CommunicationProtocolEnum.HTTP,
  // Beyond what the sidecar takes, so that the refusal is the sidecar's.
  maxBodySizeMb: 16,
  // The SDK logs errors, and with them keys.
  logger: { service: { error: hear, warn: hear, info: hear, verbose: hear, debug: hear } },
});
const { state } = client;

const key = (name) => `${process.env.KEY ?? ""}${name}`;
const value = (name) => `${process.env.VALUE ?? ""}${name}`;

async function save(items, options) {
  assert.deepEqual(await state.save(STORE, items, options), {});
}

async function etag(name) {
  const [found] = await state.getBulk(STORE, [key(name)]);
  return found.etag;
}

async function awaitSidecar() {
  assert.equal(client.getIsInitialized(), false);
  await client.start();
  assert.equal(client.getIsInitialized(), true);
  await DaprClient.awaitSidecarStarted(() => client.health.isHealthy(), client.logger);
  const another = DaprClient.create(client.daprClient);
  assert.equal(await another.health.isHealthy(), true);
}

async function saveAndGet() {
  const object = { text: value("object"), number: 1.5, list: [1, null, true], "ключ": "<&>" };
  await save([{ key: key("object"), value: object }]);
  assert.deepEqual(await state.get(STORE, key("object")), object);
  await save([{ key: key("text"), value: value("text") }]);
  assert.equal(await state.get(STORE, key("text")), value("text"));
  await save([{ key: key("number"), value: 42 }]);
  assert.equal(await state.get(STORE, key("number")), 42);
  await save([{ key: key("with spaces, ünd mehr: #"), value: true }]);
  const escaped = grpc ? "with spaces, ünd mehr: #" : "with%20spaces,%20%C3%BCnd%20mehr:%20%23";
  assert.equal(await state.get(STORE, key(escaped)), true);
  assert.equal(await state.get(STORE, key("missing")), "");
  for (const consistency of [EVENTUAL, STRONG]) {
    assert.equal(await state.get(STORE, key("number"), { consistency }), 42);
  }
}

async function saveBulkAndGetBulk() {
  await save([
    { key: key("bulk-1"), value: value("bulk-1"), options: { consistency: STRONG } },
    { key: key("bulk-2"), value: { number: 2 }, options: { concurrency: LAST_WRITE } },
  ]);
  const keys = ["bulk-1", "missing", "bulk-2"].map(key);
  const found = await state.getBulk(STORE, keys, { parallelism: 2 });
  const data = Object.fromEntries(found.map((item) => [item.key, item.data]));
  const missing = grpc ? "" : undefined;
  assert.deepEqual(data, {
    [key("bulk-1")]: value("bulk-1"),
    [key("missing")]: missing,
    [key("bulk-2")]: { number: 2 },
  });
  const etags = Object.fromEntries(found.map((item) => [item.key, item.etag]));
  assert.equal(etags[key("bulk-1")], "1");
  assert.equal(etags[key("missing")] || "", "");
}

async function remove() {
  await save([{ key: key("gone"), value: 1 }]);
  assert.deepEqual(await state.delete(STORE, key("gone")), {});
  assert.equal(await state.get(STORE, key("gone")), "");
  assert.deepEqual(await state.delete(STORE, key("gone")), {});
  await save([{ key: key("gone"), value: 1 }]);
  const options = { concurrency: LAST_WRITE, consistency: STRONG };
  assert.deepEqual(await state.delete(STORE, key("gone"), options), {});
  assert.equal(await state.get(STORE, key("gone")), "");
}

async function etags() {
  await save([{ key: key("etag"), value: 1 }]);
  await save([{ key: key("etag"), value: 2, etag: "1" }]);
  assert.equal(await etag("etag"), "2");
  const mismatch = "possible etag mismatch. error from state store: ";
  const failed = "failed saving state in state store statestore: ";
  await assertRefused(
    () => state.save(STORE, [{ key: key("etag"), value: 3, etag: "1" }]),
    { status: 409, code: "Aborted", errorCode: "ERR_STATE_SAVE", message: failed + mismatch },
  );
  await assertRefused(
    () => state.save(STORE, [{ key: key("etag"), value: 3, etag: "abc" }]),
    {
      status: 400,
      code: "InvalidArgument",
      errorCode: "ERR_STATE_SAVE",
      message: `${failed}invalid etag value: strconv.Atoi: parsing "abc": invalid syntax`,
    },
  );
  await assertRefused(
    () => state.delete(STORE, key("etag"), { etag: "1" }),
    {
      status: 409,
      code: "Aborted",
      errorCode: "ERR_STATE_DELETE",
      message: `failed deleting state with key ${key("etag")}: ${mismatch}`,
    },
  );
  assert.equal(await state.get(STORE, key("etag")), 2);
  assert.deepEqual(await state.delete(STORE, key("etag"), { etag: "2" }), {});
  assert.equal(await state.get(STORE, key("etag")), "");
}

async function concurrency() {
  const first = { concurrency: FIRST_WRITE, consistency: STRONG };
  await save([{ key: key("first"), value: 1, options: first }]);
  await assertRefused(
    () => state.save(STORE, [{ key: key("first"), value: 2, options: first }]),
    {
      status: 500,
      code: "Internal",
      errorCode: "ERR_STATE_SAVE",
      message: "failed saving state in state store statestore: failed to set key ",
    },
  );
  await save([{ key: key("first"), value: 2, etag: "1", options: first }]);
  assert.equal(await state.get(STORE, key("first")), 2);
  await save([{ key: key("last"), value: 1, options: { concurrency: LAST_WRITE } }]);
  await save([{ key: key("last"), value: 2, etag: "9", options: { concurrency: LAST_WRITE } }]);
  assert.equal(await state.get(STORE, key("last")), 2);
}

async function goneSoon(name) {
  for (let left = 50; (await state.get(STORE, key(name))) !== ""; left -= 1) {
    assert.ok(left > 0, "the key lives on");
    await pause(100);
  }
}

async function timeToLive() {
  await save([{ key: key("ttl"), value: 1, metadata: { ttlInSeconds: "1" } }]);
  assert.equal(await state.get(STORE, key("ttl")), 1);
  await goneSoon("ttl");
  await save([{ key: key("long"), value: 1, metadata: { ttlInSeconds: "100" } }]);
  await save([{ key: key("forever"), value: 1, metadata: { ttlInSeconds: "100" } }]);
  await save([{ key: key("forever"), value: 2, metadata: { ttlInSeconds: "-1" } }]);
  await assertRefused(
    () => state.save(STORE, [{ key: key("ttl"), value: 1, metadata: { ttlInSeconds: "soon" } }]),
    {
      status: 500,
      code: "Internal",
      errorCode: "ERR_STATE_SAVE",
      message: "failed saving state in state store statestore: failed to parse ttl from metadata: ",
    },
  );
}

async function requestMetadata() {
  const metadata = { ttlInSeconds: "1" };
  await save([{ key: key("query-ttl"), value: 1 }], { metadata });
  assert.equal(await state.get(STORE, key("query-ttl"), { metadata: { any: "thing" } }), 1);
  await goneSoon("query-ttl");
}

async function transaction() {
  await state.transaction(STORE, []);
  await save([{ key: key("old"), value: 1 }]);
  await state.transaction(
    STORE,
    [
      { operation: "upsert", request: { key: key("new"), value: value("new") } },
      { operation: "upsert", request: { key: key("old"), value: "2", etag: "1" } },
      { operation: "delete", request: { key: key("missing") } },
    ],
    { source: "every-method" },
  );
  assert.equal(await state.get(STORE, key("new")), value("new"));
  assert.equal(await etag("old"), "2");
  await assertRefused(
    () =>
      state.transaction(STORE, [
        { operation: "delete", request: { key: key("new") } },
        { operation: "upsert", request: { key: key("old"), value: "3", etag: "1" } },
      ]),
    {
      status: 500,
      code: "Internal",
      errorCode: "ERR_STATE_TRANSACTION",
      message: "error while executing state transaction: ",
    },
  );
  assert.equal(await etag("old"), "2");
  await assertRefused(
    () => state.transaction(STORE, [{ operation: "move", request: { key: key("new") } }]),
    {
      status: 400,
      code: "Unimplemented",
      errorCode: "ERR_NOT_SUPPORTED_STATE_OPERATION",
      message: "operation type move not supported",
    },
  );
}

async function refusals() {
  const unknown = {
    status: 400,
    code: "InvalidArgument",
    errorCode: "ERR_STATE_STORE_NOT_FOUND",
    reason: "DAPR_STATE_NOT_FOUND",
    message: "state store nowhere is not found",
  };
  const item = { key: key("a"), value: 1 };
  await assertRefused(() => state.save("nowhere", [item]), unknown);
  await assertRefused(() => state.get("nowhere", key("a")), unknown);
  await assertRefused(() => state.getBulk("nowhere", [key("a")]), unknown);
  await assertRefused(() => state.delete("nowhere", key("a")), unknown);
  const upsert = { operation: "upsert", request: { key: key("a"), value: "1" } };
  await assertRefused(() => state.transaction("nowhere", [upsert]), unknown);

  const bad = key("a||b");
  const wrapped = grpc ? "" : "api error: code = InvalidArgument desc = ";
  const malformed = {
    status: 400,
    code: "InvalidArgument",
    errorCode: "ERR_MALFORMED_REQUEST",
    reason: "DAPR_STATE_ILLEGAL_KEY",
    message: `${wrapped}input key/keyPrefix '${bad}' can't contain '||'`,
  };
  await assertRefused(() => state.save(STORE, [{ key: bad, value: 1 }]), malformed);
  await assertRefused(() => state.get(STORE, bad), malformed);
  await assertRefused(() => state.delete(STORE, bad), malformed);

  await assertRefused(
    () => state.save(STORE, [{ key: key("large"), value: "x".repeat(5 * MEBIBYTE) }]),
    {
      status: 400,
      code: "ResourceExhausted",
      errorCode: "ERR_MALFORMED_REQUEST",
      message: grpc ? "grpc: received message larger than max (" : "stream too large",
    },
  );
  assert.equal(await state.get(STORE, key("large")), "");
  const large = "x".repeat(3 * MEBIBYTE);
  await save([{ key: key("large"), value: large }]);
  assert.equal(await state.get(STORE, key("large")), large);

  await assertRefused(
    () => state.query(STORE, { filter: {}, sort: [], page: { limit: 1 } }),
    {
      status: 500,
      code: "Internal",
      errorCode: "ERR_STATE_QUERY",
      reason: "DAPR_STATE_QUERY_FAILED",
      message:
        "state store statestore query failed: " +
        "redis-json server support is required for query capability",
    },
  );
}

async function metadata() {
  assert.equal(await client.health.isHealthy(), true);
  assert.equal(await client.metadata.set("colour", "blue"), true);
  const found = await client.metadata.get();
  assert.equal(found.id, APP_ID);
  assert.equal(found.extended.colour, "blue");
  const [component] = found.components;
  assert.equal(component.name, STORE);
  assert.equal(component.type, "state.redis");
  for (const capability of ["ETAG", "TRANSACTIONAL", "TTL"]) {
    assert.ok(component.capabilities.includes(capability), capability);
  }
}

async function wrongToken() {
  const { daprHost, daprPort, communicationProtocol } = client.options;
  const stranger = new DaprClient({
    daprHost,
    daprPort,
    communicationProtocol,
    daprApiToken: "wrong",
    logger: client.options.logger,
  });
  // Without it the client would wait for the sidecar to start.
  stranger.daprClient.setIsInitialized(true);
  await assertRefused(() => stranger.state.get(STORE, key("a")), {
    status: 401,
    code: "Unauthenticated",
    text: "invalid api token\n",
    message: "Unauthorized",
  });
}

async function shutdown() {
  await client.sidecar.shutdown();
  await client.stop();
}

const checks = [
  awaitSidecar,
  saveAndGet,
  saveBulkAndGetBulk,
  remove,
  etags,
  concurrency,
  timeToLive,
  requestMetadata,
  transaction,
  refusals,
  metadata,
  wrongToken,
];
for (const check of checks) {
  try {
    await check();
  } catch (error) {
    console.error(`${check.name}: ${error.stack}`);
    process.exit(1);
  }
  console.log(`ok: ${check.name}`);
}
await shutdown();
console.log("ok: Shutdown");
process.exit();
