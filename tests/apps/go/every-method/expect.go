package main

import (
	"context"
	"fmt"
	"strings"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// all runs steps up to the first error.
func all(steps ...func() error) error {
	for number, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", number+1, err)
		}
	}
	return nil
}

func equal[T comparable](what string, found, expected T) error {
	if found != expected {
		return fmt.Errorf("%s is %v, not %v", what, found, expected)
	}
	return nil
}

// holds checks a key's value and etag.
func holds(ctx context.Context, client dapr.Client, name, expected, etag string) error {
	item, err := client.GetState(ctx, store, key(name), nil)
	if err != nil {
		return err
	}
	if err := equal("the value", string(item.Value), expected); err != nil {
		return err
	}
	return equal("the etag", item.Etag, etag)
}

// missing checks that a key is not there.
func missing(ctx context.Context, client dapr.Client, name string) error {
	return holds(ctx, client, name, "", "")
}

// A refusal is what an error must look like.
type refusal struct {
	code    codes.Code
	message string
	reason  string
}

// refused checks the type, code, words and ErrorInfo of an error.
func refused(err error, expected refusal) error {
	found, isStatus := status.FromError(err)
	if err == nil || !isStatus {
		return fmt.Errorf("%v is no refusal by gRPC", err)
	}
	if err := equal("the code", found.Code(), expected.code); err != nil {
		return fmt.Errorf("%w (%s)", err, found.Message())
	}
	if !strings.Contains(found.Message(), expected.message) {
		return fmt.Errorf("%q does not say %q", found.Message(), expected.message)
	}
	reason := ""
	for _, detail := range found.Details() {
		if info, isInfo := detail.(*errdetails.ErrorInfo); isInfo {
			reason = info.GetReason()
		}
	}
	return equal("the reason", reason, expected.reason)
}
