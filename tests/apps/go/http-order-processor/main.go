// The order-processor of the quickstart on plain HTTP, without any SDK.
//
// It takes the variables of ../order-processor, and TIMEOUT_S: after so many seconds (default 15) a
// call that was not answered is an error.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"outrigger.test/apps/orders"
)

type item struct {
	Key   string       `json:"key"`
	Value orders.Order `json:"value"`
}

type sidecar struct {
	client http.Client
	url    string
}

func (s *sidecar) Save(ctx context.Context, order orders.Order) error {
	body, err := json.Marshal([]item{{order.Key(), order}})
	if err != nil {
		return err
	}
	_, err = s.call(ctx, http.MethodPost, "", body, http.StatusNoContent)
	return err
}

func (s *sidecar) Get(ctx context.Context, key string) (found orders.Order, err error) {
	body, err := s.call(ctx, http.MethodGet, "/"+key, nil, http.StatusOK)
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(body, &found)
}

func (s *sidecar) Delete(ctx context.Context, key string) error {
	_, err := s.call(ctx, http.MethodDelete, "/"+key, nil, http.StatusNoContent)
	return err
}

func (s *sidecar) call(ctx context.Context, method, path string, body []byte, status int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token := os.Getenv("DAPR_API_TOKEN"); token != "" {
		request.Header.Set("dapr-api-token", token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != status {
		err = fmt.Errorf("%s answered %s: %s", method, response.Status, answer)
	}
	return answer, err
}

func main() {
	timeout, err := time.ParseDuration(variable("TIMEOUT_S", "15") + "s")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	url := "http://localhost:" + variable("DAPR_HTTP_PORT", "3500") + "/v1.0/state/statestore"
	orders.Process(&sidecar{client: http.Client{Timeout: timeout}, url: url})
}

func variable(name, otherwise string) string {
	if value, found := os.LookupEnv(name); found {
		return value
	}
	return otherwise
}
