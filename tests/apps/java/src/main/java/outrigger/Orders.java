package outrigger;

/** The loop that the order-processors share, whatever carries their calls. */
final class Orders {
  private Orders() {}

  /** What is saved. */
  record Order(int orderId) {
    String key() {
      return Integer.toString(orderId);
    }
  }

  /** Saves, reads and deletes orders. */
  interface Store {
    void save(Order order) throws Exception;

    Order get(String key) throws Exception;

    void delete(String key) throws Exception;
  }

  /**
   * Runs orders through the store; an error ends the program.
   *
   * <p>ORDERS: how many (default 100). PAUSE_MS: milliseconds between two (default 500). DELETE:
   * "false" keeps the orders (default: an order is deleted after it was read).
   */
  static void process(Store store) throws Exception {
    int count = Integer.parseInt(variable("ORDERS", "100"));
    long pause = Long.parseLong(variable("PAUSE_MS", "500"));
    boolean delete = !variable("DELETE", "true").equals("false");
    for (int id = 1; id <= count; id++) {
      process(store, new Order(id), delete);
      Thread.sleep(pause);
    }
  }

  private static void process(Store store, Order order, boolean delete) throws Exception {
    String key = order.key();
    store.save(order);
    say("Saving", key);
    Order found = store.get(key);
    if (!order.equals(found)) {
      throw new IllegalStateException("order " + key + " came back as " + found);
    }
    say("Getting", key);
    if (delete) {
      store.delete(key);
      say("Deleting", key);
    }
  }

  private static void say(String verb, String key) {
    System.out.printf("%s Order: { orderId: '%s' }%n", verb, key);
  }

  static String variable(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }
}
