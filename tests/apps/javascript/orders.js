// What the order-processors of this folder have in common: the orders, and what is said about them.
//
// ORDERS    how many orders (default 100)
// PAUSE_MS  milliseconds between two orders (default 500)
// DELETE    "false" keeps the orders (default: an order is deleted after it was read)

import { setTimeout as pause } from "node:timers/promises";

// Gives every order to `store`, one after the other, by its `save`, `get` and `remove`.
export async function processOrders(store) {
  const orders = Number(process.env.ORDERS ?? "100");
  const pauseMs = Number(process.env.PAUSE_MS ?? "500");
  const deletes = process.env.DELETE !== "false";
  for (let number = 1; number <= orders; number += 1) {
    await processOrder(store, number, deletes);
    await pause(pauseMs);
  }
}

async function processOrder(store, number, deletes) {
  const key = String(number);
  await store.save(key, { orderId: number });
  console.log(`Saving Order: { orderId: '${key}' }`);
  const found = await store.get(key);
  if (found?.orderId !== number) {
    throw new Error(`order ${key} came back as ${JSON.stringify(found)}`);
  }
  console.log(`Getting Order: { orderId: '${key}' }`);
  if (deletes) {
    await store.remove(key);
    console.log(`Deleting Order: { orderId: '${key}' }`);
  }
}
