package outrigger;

import io.dapr.client.DaprClient;
import io.dapr.client.domain.State;
import io.dapr.exceptions.DaprErrorDetails.ErrorDetailType;
import io.dapr.exceptions.DaprException;
import io.dapr.utils.TypeRef;
import java.util.Objects;

/** One thing that must hold; its name is told when it does. */
record Check(String name, Body body) {
  static final String STORE = "statestore";

  interface Body {
    void run(DaprClient client) throws Exception;
  }

  static String key(String name) {
    return System.getenv("KEY") + name;
  }

  static String value(String name) {
    return System.getenv("VALUE") + name;
  }

  static void equal(String what, Object found, Object expected) {
    if (!Objects.equals(found, expected)) {
      throw new AssertionError(what + " is " + found + ", not " + expected);
    }
  }

  /** Checks a key's value and etag. */
  static void holds(DaprClient client, String name, String value, String etag) {
    State<String> found = client.getState(STORE, key(name), String.class).block();
    equal("the key", found.getKey(), key(name));
    equal("the value", found.getValue(), value);
    equal("the etag", found.getEtag(), etag);
  }

  /** Checks that a key is not there. */
  static void missing(DaprClient client, String name) {
    State<String> found = client.getState(STORE, key(name), String.class).block();
    equal("the value", found.getValue(), null);
  }

  /** Checks the type, code, words and ErrorInfo of an error; an empty reason asks for none. */
  static void refused(Runnable call, String code, String message, String reason) {
    try {
      call.run();
    } catch (DaprException error) {
      equal("the code", error.getErrorCode(), code);
      if (!error.getMessage().contains(message)) {
        throw new AssertionError(error.getMessage() + " does not say " + message);
      }
      String found =
          error.getErrorDetails().get(ErrorDetailType.ERROR_INFO, "reason", TypeRef.STRING);
      equal("the reason", found == null ? "" : found, reason);
      return;
    }
    throw new AssertionError("nothing was refused, although it should be: " + message);
  }

  static void saveConflict(Runnable call) {
    String message =
        "failed saving state in state store statestore: possible etag mismatch."
            + " error from state store";
    refused(call, "ABORTED", message, "ERR_STATE_SAVE");
  }
}
