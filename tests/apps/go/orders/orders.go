// Package orders is the loop that the order-processors share, whatever carries their calls.
package orders

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Order is what is saved.
type Order struct {
	ID int `json:"orderId"`
}

// Key is the order's key.
func (o Order) Key() string { return strconv.Itoa(o.ID) }

// Store saves, reads and deletes orders.
type Store interface {
	Save(ctx context.Context, order Order) error
	Get(ctx context.Context, key string) (Order, error)
	Delete(ctx context.Context, key string) error
}

// Process runs ORDERS orders through the store; an error ends the program.
func Process(store Store) {
	// A signal ends the pause as well as a call that waits for the store.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	count, pause := number("ORDERS", 100), time.Duration(number("PAUSE_MS", 500))*time.Millisecond
	for id := 1; id <= count; id++ {
		err := process(ctx, store, Order{ID: id})
		if ctx.Err() != nil {
			fmt.Println("Stopped")
			return
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "Order %d: %v\n", id, err)
			os.Exit(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func process(ctx context.Context, store Store, order Order) error {
	key := order.Key()
	if err := store.Save(ctx, order); err != nil {
		return err
	}
	say("Saving", key)
	found, err := store.Get(ctx, key)
	if err != nil {
		return err
	}
	if found != order {
		return fmt.Errorf("it came back as %v", found)
	}
	say("Getting", key)
	if os.Getenv("DELETE") == "false" {
		return nil
	}
	if err := store.Delete(ctx, key); err != nil {
		return err
	}
	say("Deleting", key)
	return nil
}

func say(verb, key string) { fmt.Printf("%s Order: { orderId: '%s' }\n", verb, key) }

func number(name string, otherwise int) int {
	text, found := os.LookupEnv(name)
	if !found {
		return otherwise
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(2)
	}
	return value
}
