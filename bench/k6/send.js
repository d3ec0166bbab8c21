// Sends the requests that microblog/bench/generators/k6.py has made, one in each iteration.
//
// LOAD is a file with k6's options, where to send, and the timeout in milliseconds; REQUESTS one with
// the requests: operation, method, path, headers, body. They hold tokens, and are kept once for all
// VUs. Iterations take them in the order in which they begin; past the end they begin again.
import exec from "k6/execution";
import http from "k6/http";
import { SharedArray } from "k6/data";

const { options, base, timeout } = JSON.parse(open(__ENV.LOAD));
const requests = new SharedArray("requests", () => JSON.parse(open(__ENV.REQUESTS)));

http.setResponseCallback(null); // which statuses are right is not decided here

export { options };

export default function () {
  try {
    const n = exec.scenario.iterationInTest % requests.length;
    const [name, method, path, headers, body] = requests[n];
    http.request(method, base + path, body, { headers, tags: { name }, timeout });
  } catch (error) {
    exec.test.abort(`${error}`); // k6 itself would go on, and count it nowhere
  }
}
