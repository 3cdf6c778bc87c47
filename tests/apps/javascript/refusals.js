// Brings the errors of the SDK's two protocols to one form, and checks them.

import assert from "node:assert/strict";

import { Code, ConnectError } from "@connectrpc/connect";

// Asserts that the call ends in the expected refusal. Its message is a beginning, since what follows
// is the state store's. `status` and `errorCode` are what HTTP tells, or `text` where the answer is
// no JSON; `code` is what gRPC tells, and `reason` the detail beside it.
export async function assertRefused(call, expected) {
  const error = await refusal(call);
  if (error instanceof ConnectError) {
    assert.equal(Code[error.code], expected.code, error.message);
    assert.ok(error.rawMessage.startsWith(expected.message), error.rawMessage);
    if (expected.code !== "ResourceExhausted") {
      assertReason(error, expected);
    }
    return;
  }
  const { status, error_msg: text } = JSON.parse(error.message);
  assert.equal(status, expected.status, text);
  if (expected.text !== undefined) {
    assert.equal(text, expected.text);
    return;
  }
  const { errorCode, message } = JSON.parse(text);
  assert.equal(errorCode, expected.errorCode, text);
  assert.ok(message.startsWith(expected.message), text);
}

// Over HTTP a save and a delete return their error, everything else throws it.
async function refusal(call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    return error;
  }
  assert.ok(answer?.error, `not refused: ${JSON.stringify(answer)}`);
  return answer.error;
}

// A detail arrives as a message of bytes; the reason stands in it as it is.
function assertReason(error, { reason, errorCode }) {
  const details = error.details.map((detail) => [detail.type, Buffer.from(detail.value)]);
  const [, info] = details.find(([type]) => type === "google.rpc.ErrorInfo") ?? [];
  const expected = reason ?? errorCode;
  if (expected) {
    assert.ok(info?.includes(expected), `${expected} is not in ${error.message}`);
  }
}
