package main

import (
	"context"
	"strings"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
)

const mismatch = "possible etag mismatch. error from state store"

func conflict(doing string) refusal {
	return refusal{codes.Aborted, "failed " + doing + ": " + mismatch, "ERR_STATE_SAVE"}
}

var saveConflict = conflict("saving state in state store statestore")

func deleteConflict(name string) refusal {
	message := "failed deleting state with key " + key(name) + ": " + mismatch
	return refusal{codes.Aborted, message, "ERR_STATE_DELETE"}
}

var transactionConflict = refusal{
	codes.Internal, "error while executing state transaction: ", "ERR_STATE_TRANSACTION",
}

// refusals are the errors that an app can be given.
var refusals = []check{
	{"a store that is not there", func(ctx context.Context, client dapr.Client) error {
		expected := refusal{codes.InvalidArgument, "state store nope is not found", "DAPR_STATE_NOT_FOUND"}
		_, get := client.GetState(ctx, "nope", key("a"), nil)
		_, bulk := client.GetBulkState(ctx, "nope", []string{key("a")}, nil, 1)
		operation := &dapr.StateOperation{Type: dapr.StateOperationTypeUpsert, Item: item("a")}
		for _, err := range []error{
			get, bulk,
			client.SaveState(ctx, "nope", key("a"), nil, nil),
			client.DeleteState(ctx, "nope", key("a"), nil),
			client.DeleteBulkState(ctx, "nope", []string{key("a")}, nil),
			client.ExecuteStateTransaction(ctx, "nope", nil, []*dapr.StateOperation{operation}),
		} {
			if err := refused(err, expected); err != nil {
				return err
			}
		}
		return nil
	}},
	{"a key that may not be", func(ctx context.Context, client dapr.Client) error {
		bad := key("a||b")
		message := "input key/keyPrefix '" + bad + "' can't contain '||'"
		expected := refusal{codes.InvalidArgument, message, "DAPR_STATE_ILLEGAL_KEY"}
		_, get := client.GetState(ctx, store, bad, nil)
		return all(
			func() error { return refused(client.SaveState(ctx, store, bad, nil, nil), expected) },
			func() error { return refused(get, expected) },
			func() error { return refused(client.DeleteState(ctx, store, bad, nil), expected) },
			func() error {
				empty := refusal{codes.InvalidArgument, "state key cannot be empty", "ERR_STATE_SAVE"}
				return refused(client.SaveState(ctx, store, "", nil, nil), empty)
			},
		)
	}},
	{"a TTL that is none", func(ctx context.Context, client dapr.Client) error {
		message := "failed to parse ttl from metadata: strconv.ParseInt: parsing \"x\": invalid syntax"
		expected := refusal{codes.Internal, message, "ERR_STATE_SAVE"}
		metadata := map[string]string{"ttlInSeconds": "x"}
		err := client.SaveState(ctx, store, key("bad"), []byte(value("bad")), metadata)
		return all(
			func() error { return refused(err, expected) },
			func() error { return missing(ctx, client, "bad") },
		)
	}},
	{"an etag that is none", func(ctx context.Context, client dapr.Client) error {
		message := "invalid etag value: strconv.Atoi: parsing \"x\": invalid syntax"
		expected := refusal{codes.InvalidArgument, message, "ERR_STATE_SAVE"}
		return refused(client.SaveStateWithETag(ctx, store, key("bad"), nil, "x", nil, firstWrite), expected)
	}},
	{"a value that is too large", func(ctx context.Context, client dapr.Client) error {
		large := []byte(strings.Repeat("x", 4<<20))
		expected := refusal{codes.ResourceExhausted, "grpc: received message larger than max (", ""}
		return all(
			func() error { return refused(client.SaveState(ctx, store, key("large"), large, nil), expected) },
			func() error { return missing(ctx, client, "large") },
		)
	}},
	{"a query", func(ctx context.Context, client dapr.Client) error {
		message := "state store statestore query failed: redis-json server support is required for query"
		expected := refusal{codes.Internal, message, "DAPR_STATE_QUERY_FAILED"}
		_, err := client.QueryStateAlpha1(ctx, store, "{}", nil)
		return refused(err, expected)
	}},
}
