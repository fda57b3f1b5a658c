// Makes calls through the official Graph client and prints what it made of the answers.
//
// Standard input: {"baseUrl","token","calls":[{"method","path","version","headers","body","raw"}]}
// or {"baseUrl","token","pages":"me/messages?$top=…"}, which follows every page to its end.
// Standard output: one JSON array, an answer for each call; or the ids of all pages.
import { readFileSync } from "node:fs";

import { PageIterator, makeClient } from "../../../tools/demo/sdk.mjs";

const input = JSON.parse(readFileSync(0, "utf8"));
const graph = makeClient(input);

async function pages(path) {
  const ids = [];
  const first = await graph.client.api(path).get();
  await new PageIterator(graph.client, first, (item) => ids.push(item.id) > 0).iterate();
  return ids;
}

async function calls(wanted) {
  const answers = [];
  for (const { method, path, ...options } of wanted) {
    const { status, headers, attempts, value, error } = await graph.call(method, path, options);
    answers.push({
      status, attempts, value: value ?? null, headers: Object.fromEntries(headers ?? []),
      error: error && {
        statusCode: error.statusCode, code: error.code, message: error.message,
        requestId: error.requestId, body: JSON.parse(error.body ?? "null"),
      },
    });
  }
  return answers;
}

console.log(JSON.stringify(input.pages ? await pages(input.pages) : await calls(input.calls)));
