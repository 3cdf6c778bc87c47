package outrigger;

import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;

/** The order-processor of the quickstart, on the published Dapr Java SDK. */
final class OrderProcessor {
  private static final String STORE = "statestore";

  private OrderProcessor() {}

  private record Sdk(DaprClient client) implements Orders.Store {
    @Override
    public void save(Orders.Order order) {
      client.saveState(STORE, order.key(), order).block();
    }

    @Override
    public Orders.Order get(String key) {
      return client.getState(STORE, key, Orders.Order.class).block().getValue();
    }

    @Override
    public void delete(String key) {
      client.deleteState(STORE, key).block();
    }
  }

  public static void main(String[] words) throws Exception {
    try (DaprClient client = new DaprClientBuilder().build()) {
      Orders.process(new Sdk(client));
    }
  }
}
