package outrigger;

import static outrigger.Check.STORE;
import static outrigger.Check.key;
import static outrigger.Check.missing;
import static outrigger.Check.refused;
import static outrigger.Check.value;

import io.dapr.client.DaprClient;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import java.util.List;

/** The errors that an app can be given. */
final class Refusals {
  private Refusals() {}

  static final List<Check> CHECKS =
      List.of(
          new Check("a store that is not there", Refusals::store),
          new Check("a key that may not be", Refusals::badKey),
          new Check("an etag that is none", Refusals::badEtag),
          new Check("a value that is too large", Refusals::large));

  private static void store(DaprClient client) {
    var operation =
        new TransactionalStateOperation<>(OperationType.UPSERT, ManyKeys.item("a", null));
    List<Runnable> calls =
        List.of(
            () -> client.getState("nope", key("a"), String.class).block(),
            () -> client.getBulkState("nope", List.of(key("a")), String.class).block(),
            () -> client.saveState("nope", key("a"), value("a")).block(),
            () -> client.deleteState("nope", key("a")).block(),
            () -> client.executeStateTransaction("nope", List.of(operation)).block());
    for (Runnable call : calls) {
      String message = "state store nope is not found";
      refused(call, "INVALID_ARGUMENT", message, "DAPR_STATE_NOT_FOUND");
    }
  }

  private static void badKey(DaprClient client) {
    String bad = key("a||b");
    List<Runnable> calls =
        List.of(
            () -> client.getState(STORE, bad, String.class).block(),
            () -> client.saveState(STORE, bad, value("a")).block(),
            () -> client.deleteState(STORE, bad).block());
    for (Runnable call : calls) {
      String message = "input key/keyPrefix '" + bad + "' can't contain '||'";
      refused(call, "INVALID_ARGUMENT", message, "DAPR_STATE_ILLEGAL_KEY");
    }
  }

  private static void badEtag(DaprClient client) {
    Runnable save = () -> client.saveState(STORE, key("bad"), "x", value("bad"), null).block();
    String message = "invalid etag value: strconv.Atoi: parsing \"x\": invalid syntax";
    refused(save, "INVALID_ARGUMENT", message, "ERR_STATE_SAVE");
    missing(client, "bad");
  }

  private static void large(DaprClient client) {
    String large = "x".repeat(4 << 20);
    Runnable save = () -> client.saveState(STORE, key("large"), large).block();
    refused(save, "RESOURCE_EXHAUSTED", "grpc: received message larger than max (", "");
    missing(client, "large");
  }
}
