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
import io.dapr.client.domain.DeleteStateRequest;
import io.dapr.client.domain.GetStateRequest;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.StateOptions.Concurrency;
import io.dapr.client.domain.StateOptions.Consistency;
import io.dapr.utils.TypeRef;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** The methods on one key. */
final class OneKey {
  private OneKey() {}

  record Pair(String name, List<Double> numbers) {}

  private static final StateOptions FIRST_WRITE =
      new StateOptions(Consistency.STRONG, Concurrency.FIRST_WRITE);
  private static final StateOptions LAST_WRITE =
      new StateOptions(Consistency.EVENTUAL, Concurrency.LAST_WRITE);

  static final List<Check> CHECKS =
      List.of(
          new Check("waitForSidecar", client -> client.waitForSidecar(5000).block()),
          new Check("saveState and getState", OneKey::saveAndGet),
          new Check("objects and bytes", OneKey::types),
          new Check("every form of getState", OneKey::forms),
          new Check("saveState with an etag", OneKey::etag),
          new Check("concurrency and consistency options", OneKey::options),
          new Check("TTL", OneKey::ttl),
          new Check("deleteState", OneKey::delete));

  private static void saveAndGet(DaprClient client) {
    missing(client, "a");
    client.saveState(STORE, key("a"), value("1")).block();
    holds(client, "a", value("1"), "1");
    client.saveState(STORE, key("a"), value("2")).block();
    holds(client, "a", value("2"), "2");
  }

  private static void types(DaprClient client) {
    var pair = new Pair(value("<&>\u2028"), List.of(1.5, 1e300));
    client.saveState(STORE, key("pair"), pair).block();
    equal("the object", client.getState(STORE, key("pair"), Pair.class).block().getValue(), pair);
    byte[] json = "{ \"a\" : [1, 2.50] }".getBytes(StandardCharsets.UTF_8);
    client.saveState(STORE, key("bytes"), json).block();
    byte[] found = client.getState(STORE, key("bytes"), byte[].class).block().getValue();
    // The SDK announces every value as JSON, which is stored compactly.
    equal("the bytes", new String(found, StandardCharsets.UTF_8), "{\"a\":[1,2.50]}");
    byte[] none = "no json".getBytes(StandardCharsets.UTF_8);
    String message = "invalid character 'o' in literal null (expecting 'u')";
    refused(() -> client.saveState(STORE, key("none"), none).block(), "UNKNOWN", message, "");
    client.saveState(STORE, key("null"), null).block();
    missing(client, "null");
  }

  private static void forms(DaprClient client) {
    var request = new GetStateRequest(STORE, key("a")).setStateOptions(FIRST_WRITE);
    for (State<String> found :
        List.of(
            client.getState(STORE, key("a"), TypeRef.STRING).block(),
            client.getState(STORE, key("a"), FIRST_WRITE, String.class).block(),
            client.getState(STORE, key("a"), LAST_WRITE, TypeRef.STRING).block(),
            client.getState(STORE, new State<String>(key("a")), String.class).block(),
            client.getState(STORE, new State<String>(key("a")), TypeRef.STRING).block(),
            client.getState(request, TypeRef.STRING).block())) {
      equal("the value", found.getValue(), value("2"));
      equal("the etag", found.getEtag(), "2");
    }
  }

  private static void etag(DaprClient client) {
    client.saveState(STORE, key("e"), null, value("1"), null).block();
    client.saveState(STORE, key("e"), "1", value("2"), null).block();
    saveConflict(() -> client.saveState(STORE, key("e"), "1", value("3"), null).block());
    holds(client, "e", value("2"), "2");
    client.saveState(STORE, key("e"), "1", value("3"), LAST_WRITE).block();
    holds(client, "e", value("3"), "3");
  }

  private static void save(DaprClient client, String etag, StateOptions options) {
    client.saveState(STORE, key("o"), etag, value("o"), options).block();
  }

  private static void options(DaprClient client) {
    save(client, null, LAST_WRITE);
    save(client, null, FIRST_WRITE);
    // From here on every write must know the version. No etag was given that could be wrong.
    String message = "failed saving state in state store statestore: failed to set key";
    for (StateOptions options : List.of(FIRST_WRITE, LAST_WRITE)) {
      refused(() -> save(client, null, options), "INTERNAL", message, "ERR_STATE_SAVE");
    }
    saveConflict(() -> save(client, "1", FIRST_WRITE));
    save(client, "2", FIRST_WRITE);
    holds(client, "o", value("o"), "3");
  }

  private static void saveFor(DaprClient client, String name, String seconds) {
    var metadata = Map.of("ttlInSeconds", seconds);
    client.saveState(STORE, key(name), null, value(name), metadata, null).block();
  }

  private static void ttl(DaprClient client) throws InterruptedException {
    saveFor(client, "short", "1");
    holds(client, "short", value("short"), "1");
    while (client.getState(STORE, key("short"), String.class).block().getValue() != null) {
      Thread.sleep(20);
    }
    // Redis tells no caller about these, so that who started this program looks there.
    saveFor(client, "long", "100");
    saveFor(client, "forever", "100");
    saveFor(client, "forever", "-1");
    String message = "failed to parse ttl from metadata: strconv.ParseInt: parsing \"x\"";
    refused(() -> saveFor(client, "bad", "x"), "INTERNAL", message, "ERR_STATE_SAVE");
    missing(client, "bad");
  }

  private static void delete(DaprClient client) {
    client.deleteState(STORE, key("a")).block();
    missing(client, "a");
    client.deleteState(STORE, key("a")).block();
    String message =
        "failed deleting state with key " + key("e") + ": possible etag mismatch."
            + " error from state store";
    refused(
        () -> client.deleteState(STORE, key("e"), "1", FIRST_WRITE).block(),
        "ABORTED", message, "ERR_STATE_DELETE");
    client.deleteState(STORE, key("e"), "3", FIRST_WRITE).block();
    missing(client, "e");
    client.saveState(STORE, key("d"), value("d")).block();
    var request = new DeleteStateRequest(STORE, key("d")).setEtag("2");
    refused(
        () -> client.deleteState(request).block(),
        "ABORTED", "possible etag mismatch", "ERR_STATE_DELETE");
    client.deleteState(request.setEtag("1").setStateOptions(LAST_WRITE)).block();
    missing(client, "d");
  }
}
