package outrigger;

import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.DaprPreviewClient;
import io.dapr.client.domain.ComponentMetadata;
import io.dapr.client.domain.DaprMetadata;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Calls every public state method of the Dapr Java SDK's client and checks what comes back; ends
 * with 1 at the first answer that is not the expected one.
 *
 * <p>KEY, VALUE: what every key and value of this program begins with.
 */
final class EveryMethod {
  private EveryMethod() {}

  public static void main(String[] words) throws Exception {
    var checks = Stream.of(OneKey.CHECKS, ManyKeys.CHECKS, Refusals.CHECKS, SIDECAR);
    try (DaprClient client = new DaprClientBuilder().build()) {
      for (Check check : checks.flatMap(List::stream).toList()) {
        try {
          check.body().run(client);
        } catch (Throwable error) {
          System.err.println(check.name() + ": " + error);
          System.exit(1);
        }
        System.out.println("ok: " + check.name());
      }
    }
    // A thread of the SDK outlives its client.
    System.exit(0);
  }

  // The methods about the sidecar itself; the last one ends it.
  private static final List<Check> SIDECAR =
      List.of(
          new Check("getMetadata", EveryMethod::metadata),
          new Check("queryState", EveryMethod::query),
          new Check("shutdown", client -> client.shutdown().block()));

  private static void metadata(DaprClient client) {
    DaprMetadata found = client.getMetadata().block();
    Check.equal("the id", found.getId(), System.getenv("APP_ID"));
    Check.equal("the components", found.getComponents().size(), 1);
    ComponentMetadata component = found.getComponents().get(0);
    Check.equal("the component", component.getName(), Check.STORE);
    Check.equal("its type", component.getType(), "state.redis");
    Check.equal("its version", component.getVersion(), "v1");
    String version = found.getAttributes().get("daprRuntimeVersion");
    Check.equal("the version", version, found.getRuntimeVersion());
  }

  private static void query(DaprClient ignored) throws Exception {
    try (DaprPreviewClient client = new DaprClientBuilder().buildPreviewClient()) {
      String message =
          "state store statestore query failed: redis-json server support is required for query";
      Runnable query =
          () -> client.queryState(Check.STORE, "{}", Map.of(), String.class).block();
      Check.refused(query, "INTERNAL", message, "DAPR_STATE_QUERY_FAILED");
    }
  }
}
