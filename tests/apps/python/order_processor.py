"""The order-processor of the quickstart, on the published Dapr Python SDK.

ORDERS    how many orders (default 100)
PAUSE_MS  milliseconds between two orders (default 500)
DELETE    "false" keeps the orders (default: an order is deleted after it was read)
"""

import json
import os
import signal
import sys
import time

from dapr.clients import DaprClient

STORE = "statestore"


def main() -> int:
    orders = int(os.environ.get("ORDERS", "100"))
    pause = int(os.environ.get("PAUSE_MS", "500")) / 1000
    delete = os.environ.get("DELETE", "true") != "false"
    # A signal ends the pause as well as a call that waits for the store.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with DaprClient() as client:
            for number in range(1, orders + 1):
                process(client, number, delete)
                time.sleep(pause)
    except KeyboardInterrupt:
        print("Stopped", flush=True)
    return 0


def process(client: DaprClient, number: int, delete: bool) -> None:
    key = str(number)
    order = {"orderId": number}
    client.save_state(STORE, key, json.dumps(order))
    print(f"Saving Order: {{ orderId: '{key}' }}", flush=True)
    found = json.loads(client.get_state(STORE, key).data)
    if found != order:
        sys.exit(f"Order {key} came back as {found}")
    print(f"Getting Order: {{ orderId: '{key}' }}", flush=True)
    if delete:
        client.delete_state(STORE, key)
        print(f"Deleting Order: {{ orderId: '{key}' }}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
