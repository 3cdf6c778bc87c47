// The order-processor of the quickstart, on the published Dapr JavaScript SDK.
//
// DAPR_PROTOCOL  "grpc" or "http" (default)
// Further variables are those of orders.js.

import { CommunicationProtocolEnum, DaprClient } from "@dapr/dapr";

import { processOrders } from "./orders.js";

const STORE = "statestore";

const grpc = process.env.DAPR_PROTOCOL === "grpc";
const client = new DaprClient({
  // As users of the quickstart have it: a name that may mean IPv6 first, and a scheme before it.
  daprHost: "http://localhost",
  daprPort: grpc ? process.env.DAPR_GRPC_PORT : process.env.DAPR_HTTP_PORT,
  communicationProtocol: grpc ? CommunicationProtocolEnum.GRPC : CommunicationProtocolEnum.HTTP,
});

// Over HTTP the SDK returns the error of a save or a delete instead of throwing it.
function check({ error }) {
  if (error) {
    throw error;
  }
}

await processOrders({
  save: async (key, value) => check(await client.state.save(STORE, [{ key, value }])),
  get: (key) => client.state.get(STORE, key),
  remove: async (key) => check(await client.state.delete(STORE, key)),
});
await client.stop();
// The gRPC transport keeps its connection open, and with it the process.
process.exit();
