// The order-processor of the quickstart, on the published Dapr Go SDK.
//
//	ORDERS    how many orders (default 100)
//	PAUSE_MS  milliseconds between two orders (default 500)
//	DELETE    "false" keeps the orders (default: an order is deleted after it was read)
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	dapr "github.com/dapr/go-sdk/client"

	"outrigger.test/apps/orders"
)

const store = "statestore"

type sdk struct {
	client dapr.Client
}

func (s sdk) Save(ctx context.Context, order orders.Order) error {
	value, err := json.Marshal(order)
	if err != nil {
		return err
	}
	return s.client.SaveState(ctx, store, order.Key(), value, nil)
}

func (s sdk) Get(ctx context.Context, key string) (found orders.Order, err error) {
	item, err := s.client.GetState(ctx, store, key, nil)
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(item.Value, &found)
}

func (s sdk) Delete(ctx context.Context, key string) error {
	return s.client.DeleteState(ctx, store, key, nil)
}

func main() {
	client, err := dapr.NewClient()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer client.Close()
	orders.Process(sdk{client})
}
