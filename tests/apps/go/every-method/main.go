// Calls every public state method of the Dapr Go SDK's client and checks what comes back; exits with
// 1 at the first answer that is not the expected one.
//
//	KEY, VALUE  what every key and value of this program begins with
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	dapr "github.com/dapr/go-sdk/client"
)

const store = "statestore"

// A check is one thing that must hold; it is named in the program's output.
type check struct {
	name string
	run  func(ctx context.Context, client dapr.Client) error
}

func key(name string) string { return os.Getenv("KEY") + name }

func value(name string) string { return os.Getenv("VALUE") + name }

func main() {
	client, err := dapr.NewClient()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var checks []check
	for _, group := range [][]check{single, several, refusals, sidecar} {
		checks = append(checks, group...)
	}
	for _, check := range checks {
		if err := check.run(ctx, client); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", check.name, err)
			os.Exit(1)
		}
		fmt.Println("ok:", check.name)
	}
}
