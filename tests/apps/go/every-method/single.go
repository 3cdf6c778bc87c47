package main

import (
	"context"
	"time"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
)

var firstWrite = dapr.WithConcurrency(dapr.StateConcurrencyFirstWrite)

// single are the methods on one key.
var single = []check{
	{"Wait", func(ctx context.Context, client dapr.Client) error {
		return client.Wait(ctx, 5*time.Second)
	}},
	{"SaveState and GetState", func(ctx context.Context, client dapr.Client) error {
		return all(
			func() error { return missing(ctx, client, "a") },
			func() error { return client.SaveState(ctx, store, key("a"), []byte(value("1")), nil) },
			func() error { return holds(ctx, client, "a", value("1"), "1") },
			func() error { return client.SaveState(ctx, store, key("a"), []byte(value("2")), nil) },
			func() error { return holds(ctx, client, "a", value("2"), "2") },
		)
	}},
	{"bytes come back as they went", func(ctx context.Context, client dapr.Client) error {
		bytes := "\x00\xff{\n" + value("")
		return all(
			func() error { return client.SaveState(ctx, store, key("bytes"), []byte(bytes), nil) },
			func() error { return holds(ctx, client, "bytes", bytes, "1") },
			func() error { return client.SaveState(ctx, store, key("empty"), nil, nil) },
			func() error { return holds(ctx, client, "empty", "", "1") },
		)
	}},
	{"GetStateWithConsistency", func(ctx context.Context, client dapr.Client) error {
		for _, consistency := range []dapr.StateConsistency{
			dapr.StateConsistencyUndefined, dapr.StateConsistencyEventual, dapr.StateConsistencyStrong,
		} {
			item, err := client.GetStateWithConsistency(ctx, store, key("a"), nil, consistency)
			if err != nil {
				return err
			}
			if err := equal(consistency.String(), string(item.Value), value("2")); err != nil {
				return err
			}
		}
		return nil
	}},
	{"SaveStateWithETag", func(ctx context.Context, client dapr.Client) error {
		save := func(version, etag string, options ...dapr.StateOption) error {
			return client.SaveStateWithETag(ctx, store, key("e"), []byte(value(version)), etag, nil, options...)
		}
		// With an option of one's own the concurrency is left open, and the etag counts.
		strong := dapr.WithConsistency(dapr.StateConsistencyStrong)
		late := func() error { return refused(save("3", "1", strong), saveConflict) }
		return all(
			func() error { return save("1", "") },
			func() error { return save("2", "1", strong) },
			late,
			func() error { return holds(ctx, client, "e", value("2"), "2") },
			// Without options the SDK asks for the last write, so the etag is not looked at.
			func() error { return save("3", "1") },
			func() error { return holds(ctx, client, "e", value("3"), "3") },
		)
	}},
	{"concurrency and consistency options", func(ctx context.Context, client dapr.Client) error {
		save := func(etag string, options ...dapr.StateOption) error {
			return client.SaveStateWithETag(ctx, store, key("o"), []byte(value("o")), etag, nil, options...)
		}
		lastWrite := dapr.WithConcurrency(dapr.StateConcurrencyLastWrite)
		eventual := dapr.WithConsistency(dapr.StateConsistencyEventual)
		// No etag was given that could have been wrong.
		sticky := refusal{
			codes.Internal, "failed saving state in state store statestore: failed to set key", "ERR_STATE_SAVE",
		}
		return all(
			func() error { return save("", lastWrite, eventual) },
			func() error { return save("", firstWrite, eventual) },
			// From here on every write must know the version.
			func() error { return refused(save("", firstWrite), sticky) },
			func() error { return refused(save("", lastWrite), sticky) },
			func() error { return refused(save("1", firstWrite), saveConflict) },
			func() error { return save("2", firstWrite) },
			func() error { return holds(ctx, client, "o", value("o"), "3") },
		)
	}},
	{"TTL", func(ctx context.Context, client dapr.Client) error {
		save := func(name, ttl string) error {
			metadata := map[string]string{"ttlInSeconds": ttl}
			return client.SaveState(ctx, store, key(name), []byte(value(name)), metadata)
		}
		return all(
			func() error { return save("short", "1") },
			func() error { return vanishes(ctx, client, "short") },
			// Redis tells no caller about these, so that who started this program looks there.
			func() error { return save("long", "100") },
			func() error { return save("forever", "100") },
			func() error { return save("forever", "-1") },
		)
	}},
	{"DeleteState", func(ctx context.Context, client dapr.Client) error {
		return all(
			func() error { return client.DeleteState(ctx, store, key("a"), nil) },
			func() error { return missing(ctx, client, "a") },
			func() error { return client.DeleteState(ctx, store, key("a"), nil) },
		)
	}},
	{"DeleteStateWithETag", func(ctx context.Context, client dapr.Client) error {
		options := &dapr.StateOptions{
			Concurrency: dapr.StateConcurrencyFirstWrite, Consistency: dapr.StateConsistencyStrong,
		}
		remove := func(etag string) error {
			return client.DeleteStateWithETag(ctx, store, key("e"), &dapr.ETag{Value: etag}, nil, options)
		}
		return all(
			func() error { return refused(remove("1"), deleteConflict("e")) },
			func() error { return holds(ctx, client, "e", value("3"), "3") },
			func() error { return remove("3") },
			func() error { return missing(ctx, client, "e") },
		)
	}},
}

func vanishes(ctx context.Context, client dapr.Client, name string) error {
	for ctx.Err() == nil {
		if missing(ctx, client, name) == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}
