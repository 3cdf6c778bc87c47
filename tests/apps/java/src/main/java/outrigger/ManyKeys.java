package outrigger;

import static outrigger.Check.STORE;
import static outrigger.Check.equal;
import static outrigger.Check.holds;
import static outrigger.Check.key;
import static outrigger.Check.missing;
import static outrigger.Check.refused;
import static outrigger.Check.saveConflict;
import static outrigger.Check.value;

import io.dapr.client.DaprClient;
import io.dapr.client.domain.ExecuteStateTransactionRequest;
import io.dapr.client.domain.GetBulkStateRequest;
import io.dapr.client.domain.SaveStateRequest;
import io.dapr.client.domain.State;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import io.dapr.utils.TypeRef;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The methods on many keys. */
final class ManyKeys {
  private ManyKeys() {}

  static final List<Check> CHECKS =
      List.of(
          new Check("saveBulkState and getBulkState", ManyKeys::bulk),
          new Check("saveBulkState with one conflict", ManyKeys::conflict),
          new Check("executeStateTransaction", ManyKeys::transaction),
          new Check("executeStateTransaction with a conflict", ManyKeys::transactionConflict));

  static State<String> item(String name, String etag) {
    return new State<>(key(name), value(name), etag);
  }

  private static void bulk(DaprClient client) {
    client.saveBulkState(STORE, List.of(item("x", null), item("y", null))).block();
    client.saveBulkState(new SaveStateRequest(STORE).setStates(item("z", null))).block();
    var keys = List.of(key("x"), key("y"), key("none"), key("z"));
    bulkHolds(client.getBulkState(STORE, keys, String.class).block());
    bulkHolds(client.getBulkState(STORE, keys, TypeRef.STRING).block());
    for (int parallelism : List.of(1, 10)) {
      var request = new GetBulkStateRequest(STORE, keys).setParallelism(parallelism);
      bulkHolds(client.getBulkState(request, TypeRef.STRING).block());
    }
  }

  private static void bulkHolds(List<State<String>> found) {
    Map<String, String> values = new HashMap<>();
    for (State<String> item : found) {
      equal("the error of an item", item.getError(), null);
      values.put(item.getKey(), item.getValue());
    }
    for (String name : List.of("x", "y", "z")) {
      equal(name, values.get(key(name)), value(name));
    }
    equal("what is not there", values.get(key("none")), null);
    equal("the number of items", found.size(), 4);
  }

  private static void conflict(DaprClient client) {
    saveConflict(
        () -> client.saveBulkState(STORE, List.of(item("x", "9"), item("w", null))).block());
    holds(client, "x", value("x"), "1");
    holds(client, "w", value("w"), "1");
  }

  private static void transaction(DaprClient client) {
    client
        .executeStateTransaction(
            STORE,
            List.of(
                new TransactionalStateOperation<>(OperationType.UPSERT, item("t1", null)),
                new TransactionalStateOperation<>(OperationType.DELETE, item("z", null))))
        .block();
    holds(client, "t1", value("t1"), "1");
    missing(client, "z");
    var request =
        new ExecuteStateTransactionRequest(STORE)
            .setMetadata(Map.of("ttlInSeconds", "100"))
            .setOperations(
                List.of(new TransactionalStateOperation<>(OperationType.UPSERT, item("t2", null))));
    client.executeStateTransaction(request).block();
    holds(client, "t2", value("t2"), "1");
  }

  private static void transactionConflict(DaprClient client) {
    var late = new TransactionalStateOperation<>(OperationType.UPSERT, item("t1", "9"));
    refused(
        () -> client.executeStateTransaction(STORE, List.of(late)).block(),
        "INTERNAL", "error while executing state transaction: ", "ERR_STATE_TRANSACTION");
    holds(client, "t1", value("t1"), "1");
  }
}
