"""The order-processor of the quickstart on plain HTTP, without any SDK.

It takes the variables of order_processor.py.
"""

import json
import os
import sys
import time
from urllib.request import Request, urlopen

STATE = f"http://localhost:{os.environ.get('DAPR_HTTP_PORT', '3500')}/v1.0/state/statestore"
TOKEN = os.environ.get("DAPR_API_TOKEN")


def main() -> int:
    orders = int(os.environ.get("ORDERS", "100"))
    pause = int(os.environ.get("PAUSE_MS", "500")) / 1000
    delete = os.environ.get("DELETE", "true") != "false"
    for number in range(1, orders + 1):
        process(number, delete)
        time.sleep(pause)
    return 0


def process(number: int, delete: bool) -> None:
    order = {"orderId": number}
    call("POST", "", json.dumps([{"key": str(number), "value": order}]).encode())
    print(f"Saving Order: {{ orderId: '{number}' }}", flush=True)
    found = json.loads(call("GET", f"/{number}"))
    if found != order:
        sys.exit(f"Order {number} came back as {found}")
    print(f"Getting Order: {{ orderId: '{number}' }}", flush=True)
    if delete:
        call("DELETE", f"/{number}")
        print(f"Deleting Order: {{ orderId: '{number}' }}", flush=True)


def call(method: str, path: str, body: bytes | None = None) -> bytes:
    """Any status but one of success raises."""
    request = Request(STATE + path, data=body, method=method)
    if TOKEN:
        request.add_header("dapr-api-token", TOKEN)
    with urlopen(request) as answer:
        return answer.read()


if __name__ == "__main__":
    sys.exit(main())
