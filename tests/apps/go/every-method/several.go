package main

import (
	"context"

	dapr "github.com/dapr/go-sdk/client"
)

// several are the methods on many keys.
var several = []check{
	{"SaveBulkState and GetBulkState", func(ctx context.Context, client dapr.Client) error {
		items := []*dapr.SetStateItem{item("x"), item("y"), item("z")}
		if err := client.SaveBulkState(ctx, store, items...); err != nil {
			return err
		}
		keys := []string{key("x"), key("y"), key("none"), key("z")}
		for _, parallelism := range []int32{-1, 0, 1, 100} {
			if err := bulkHolds(ctx, client, keys, parallelism); err != nil {
				return err
			}
		}
		return nil
	}},
	{"SaveBulkState with one conflict", func(ctx context.Context, client dapr.Client) error {
		late := item("x")
		late.Etag = &dapr.ETag{Value: "9"}
		late.Options = &dapr.StateOptions{Concurrency: dapr.StateConcurrencyFirstWrite}
		err := client.SaveBulkState(ctx, store, late, item("w"))
		return all(
			func() error { return refused(err, saveConflict) },
			func() error { return holds(ctx, client, "x", value("x"), "1") },
			func() error { return holds(ctx, client, "w", value("w"), "1") },
		)
	}},
	{"DeleteBulkState", func(ctx context.Context, client dapr.Client) error {
		return all(
			func() error { return client.DeleteBulkState(ctx, store, []string{key("x"), key("none")}, nil) },
			func() error { return missing(ctx, client, "x") },
		)
	}},
	{"DeleteBulkStateItems", func(ctx context.Context, client dapr.Client) error {
		options := &dapr.StateOptions{Concurrency: dapr.StateConcurrencyFirstWrite}
		remove := func(etag string) error {
			return client.DeleteBulkStateItems(ctx, store, []*dapr.DeleteStateItem{
				{Key: key("y"), Etag: &dapr.ETag{Value: etag}, Options: options},
			})
		}
		expected := conflict("deleting state in state store statestore")
		expected.reason = "ERR_STATE_BULK_DELETE"
		return all(
			func() error { return refused(remove("9"), expected) },
			func() error { return holds(ctx, client, "y", value("y"), "1") },
			func() error { return remove("1") },
			func() error { return missing(ctx, client, "y") },
		)
	}},
	{"ExecuteStateTransaction", func(ctx context.Context, client dapr.Client) error {
		operations := []*dapr.StateOperation{
			{Type: dapr.StateOperationTypeUpsert, Item: item("t1")},
			{Type: dapr.StateOperationTypeUpsert, Item: item("t2")},
			{Type: dapr.StateOperationTypeDelete, Item: &dapr.SetStateItem{Key: key("z")}},
		}
		metadata := map[string]string{"ttlInSeconds": "100"}
		return all(
			func() error { return client.ExecuteStateTransaction(ctx, store, metadata, operations) },
			func() error { return holds(ctx, client, "t1", value("t1"), "1") },
			func() error { return holds(ctx, client, "t2", value("t2"), "1") },
			func() error { return missing(ctx, client, "z") },
		)
	}},
	{"ExecuteStateTransaction with a conflict", func(ctx context.Context, client dapr.Client) error {
		late := item("t1")
		late.Etag = &dapr.ETag{Value: "9"}
		late.Options = &dapr.StateOptions{Concurrency: dapr.StateConcurrencyFirstWrite}
		operations := []*dapr.StateOperation{{Type: dapr.StateOperationTypeUpsert, Item: late}}
		err := client.ExecuteStateTransaction(ctx, store, nil, operations)
		return all(
			func() error { return refused(err, transactionConflict) },
			func() error { return holds(ctx, client, "t1", value("t1"), "1") },
		)
	}},
}

func item(name string) *dapr.SetStateItem {
	return &dapr.SetStateItem{Key: key(name), Value: []byte(value(name))}
}

func bulkHolds(ctx context.Context, client dapr.Client, keys []string, parallelism int32) error {
	found, err := client.GetBulkState(ctx, store, keys, nil, parallelism)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, item := range found {
		if err := equal("the error of an item", item.Error, ""); err != nil {
			return err
		}
		values[item.Key] = string(item.Value) + " " + item.Etag
	}
	for _, name := range []string{"x", "y", "z"} {
		if err := equal(name, values[key(name)], value(name)+" 1"); err != nil {
			return err
		}
	}
	if err := equal("what is not there", values[key("none")], " "); err != nil {
		return err
	}
	return equal("the number of items", len(found), 4)
}
