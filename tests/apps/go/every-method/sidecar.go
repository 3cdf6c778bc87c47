package main

import (
	"context"
	"fmt"
	"os"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
)

// sidecar are the methods about the sidecar itself; the last one ends it.
var sidecar = []check{
	{"GetMetadata and SetMetadata", func(ctx context.Context, client dapr.Client) error {
		if err := client.SetMetadata(ctx, "word", "said"); err != nil {
			return err
		}
		found, err := client.GetMetadata(ctx)
		if err != nil {
			return err
		}
		if len(found.RegisteredComponents) != 1 {
			return fmt.Errorf("%d components", len(found.RegisteredComponents))
		}
		component := found.RegisteredComponents[0]
		return all(
			func() error { return equal("the id", found.ID, os.Getenv("APP_ID")) },
			func() error { return equal("the word", found.ExtendedMetadata["word"], "said") },
			func() error { return equal("the component", component.Name, store) },
			func() error { return equal("its type", component.Type, "state.redis") },
			func() error { return equal("its version", component.Version, "v1") },
		)
	}},
	{"WithTraceID", func(ctx context.Context, client dapr.Client) error {
		traced := client.WithTraceID(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		return client.SaveState(traced, store, key("traced"), nil, nil)
	}},
	{"NewClientWithPort and Close", func(ctx context.Context, _ dapr.Client) error {
		other, err := dapr.NewClientWithPort(os.Getenv("DAPR_GRPC_PORT"))
		if err != nil {
			return err
		}
		defer other.Close()
		return missing(ctx, other, "none")
	}},
	{"WithAuthToken", func(ctx context.Context, client dapr.Client) error {
		defer client.WithAuthToken(os.Getenv("DAPR_API_TOKEN"))
		client.WithAuthToken("wrong")
		_, err := client.GetState(ctx, store, key("a"), nil)
		return refused(err, refusal{codes.Unauthenticated, "Unauthorized", "Unauthorized"})
	}},
	{"Shutdown", func(ctx context.Context, client dapr.Client) error {
		return client.Shutdown(ctx)
	}},
}
