// The official Graph client, pointed at a proxy instead of graph.microsoft.com.
//
//   const graph = makeClient({ baseUrl: "https://localhost:8443/", token });
//   const { status, headers, value, error } = await graph.call("POST", "me/messages/x/permanentDelete");
//
// The proxy's host stands in customHosts: without that the client silently withholds the token.
import { createRequire } from "node:module";

const {
  Client, GraphError, MiddlewareFactory, PageIterator, ResponseType,
} = createRequire(import.meta.url)("@microsoft/microsoft-graph-client");

// Sits next to the wire and keeps the last response, whose headers the client does not hand out.
class LastResponse {
  setNext(next) {
    this.next = next;
  }

  async execute(context) {
    await this.next.execute(context);
    this.response = context.response;
    this.attempts = (this.attempts ?? 0) + 1;
  }
}

export function makeClient({ baseUrl, token }) {
  const chain = MiddlewareFactory.getDefaultMiddlewareChain({ getAccessToken: async () => token });
  const last = new LastResponse();
  chain.splice(-1, 0, last);
  chain.forEach((handler, index) => {
    if (handler.setNext && chain[index + 1]) handler.setNext(chain[index + 1]);
  });
  const client = Client.initWithMiddleware({
    baseUrl,
    customHosts: new Set([new URL(baseUrl).hostname]),
    middleware: chain[0],
  });

  // One call. `raw` is for answers whose body is not what their Content-Type says, as recall's.
  async function call(method, path, { version = "v1.0", headers = {}, body, raw = false } = {}) {
    last.attempts = 0;
    last.response = undefined;
    const request = client.api(path).version(version).headers(headers);
    if (raw) request.responseType(ResponseType.RAW);
    let value, error;
    try {
      value = await request[method.toLowerCase()](body);
      if (raw) value = await value.text();
    } catch (problem) {
      if (!(problem instanceof GraphError)) throw problem;
      error = problem;
    }
    return {
      status: last.response?.status, headers: last.response?.headers, attempts: last.attempts,
      value, error,
    };
  }

  return { client, call };
}

export { GraphError, PageIterator };
