// The order-processor of the quickstart on plain HTTP, without any SDK. It takes the variables of
// orders.js.

import { processOrders } from "./orders.js";

const STATE = `http://localhost:${process.env.DAPR_HTTP_PORT ?? "3500"}/v1.0/state/statestore`;
const TOKEN = process.env.DAPR_API_TOKEN;

async function call(method, path, body) {
  const headers = { "content-type": "application/json" };
  if (TOKEN) {
    headers["dapr-api-token"] = TOKEN;
  }
  const answer = await fetch(STATE + path, { method, headers, body });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`${method} ${path} got ${answer.status}: ${text}`);
  }
  return text;
}

await processOrders({
  save: (key, value) => call("POST", "", JSON.stringify([{ key, value }])),
  get: async (key) => JSON.parse(await call("GET", `/${key}`)),
  remove: (key) => call("DELETE", `/${key}`),
});
