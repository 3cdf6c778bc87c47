package outrigger;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.Map;

/**
 * The order-processor of the quickstart on Java's own HTTP client, in its HTTP/2 mode: every request
 * asks for an upgrade to h2c until one is granted.
 */
final class HttpOrderProcessor {
  private HttpOrderProcessor() {}

  private static final class Sidecar implements Orders.Store {
    private final ObjectMapper json = new ObjectMapper();
    private final HttpClient client =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
    private final String url =
        "http://localhost:"
            + Orders.variable("DAPR_HTTP_PORT", "3500")
            + "/v1.0/state/statestore";

    @Override
    public void save(Orders.Order order) throws IOException, InterruptedException {
      var items = List.of(Map.of("key", order.key(), "value", order));
      call("POST", "", BodyPublishers.ofString(json.writeValueAsString(items)), 204);
    }

    @Override
    public Orders.Order get(String key) throws IOException, InterruptedException {
      String body = call("GET", "/" + key, BodyPublishers.noBody(), 200);
      return json.readValue(body, Orders.Order.class);
    }

    @Override
    public void delete(String key) throws IOException, InterruptedException {
      call("DELETE", "/" + key, BodyPublishers.noBody(), 204);
    }

    private String call(String method, String path, BodyPublisher body, int status)
        throws IOException, InterruptedException {
      var request = HttpRequest.newBuilder(URI.create(url + path)).method(method, body);
      String token = System.getenv("DAPR_API_TOKEN");
      if (token != null) {
        request.header("dapr-api-token", token);
      }
      HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
      if (answer.statusCode() != status) {
        throw new IOException(method + " answered " + answer.statusCode() + ": " + answer.body());
      }
      return answer.body();
    }
  }

  public static void main(String[] words) throws Exception {
    Orders.process(new Sidecar());
  }
}
