// Shows what Holdfast does with the five destructive calls it exists for: allowed, denied, with a
// bad id, and one that needs an approval, gets it and is used up; then what the simulator saw and
// what was recorded.
//
//   NODE_EXTRA_CA_CERTS=ca.crt node drive.mjs .local/demo.json
//
// Exit status 0 only if every expectation held.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { makeClient } from "./sdk.mjs";

const REQUESTER = "alex@contoso.com";
const HELD = "held@contoso.com";
const EXECUTIVE = "ceo@contoso.com";

const KINDS = [
  { resource: "message", list: "messages", path: "messages", version: "v1.0" },
  { resource: "event", list: "events", path: "events", version: "v1.0" },
  { resource: "contact", list: "contacts", path: "contacts", version: "beta" },
  { resource: "outlookTask", list: "tasks", path: "outlook/tasks", version: "beta" },
  { resource: "message", list: "sent", path: "mailFolders/sentitems/messages", version: "beta",
    action: "recall" },
];

// An id as Graph makes them, of an item that is not there.
function goneId(id) {
  return id.slice(0, 20) + (id[20] === "A" ? "B" : "A") + id.slice(21);
}

function steps(demo) {
  const own = demo.mailboxes[REQUESTER];
  const held = demo.mailboxes[HELD];
  const all = [];
  for (const kind of KINDS) {
    const { action = "permanentDelete", resource, path, version } = kind;
    const operation = `${resource} ${action}`;
    const recall = action === "recall";
    const step = (mailbox, owner, id, expected) => all.push({
      operation, mailbox, id, caller: "requester", version, raw: recall,
      path: `/${owner}/${path}/${encodeURIComponent(id)}/${action}`, ...expected,
    });
    step(REQUESTER, "me", own[kind.list][0],
      { expected: "allowed", status: recall ? 202 : 204, result: "executed" });
    step(HELD, `users/${HELD}`, held[kind.list][0],
      { expected: "denied", status: 403, code: "HoldfastDenied", effect: "deny" });
    step(REQUESTER, "me", goneId(own[kind.list][1]), {
      expected: "bad id", status: recall ? 400 : 404, result: "refused",
      code: recall ? "ErrorInvalidIdMalformed" : "ErrorItemNotFound",
    });
  }
  const executive = demo.mailboxes[EXECUTIVE].messages[0];
  // The same call three times, without any header about approvals; it reaches Graph once.
  const approved = (expected) => all.push({
    operation: "message permanentDelete", mailbox: EXECUTIVE, id: executive, caller: "app",
    version: "v1.0",
    path: `/users/${EXECUTIVE}/messages/${encodeURIComponent(executive)}/permanentDelete`,
    reaches: 1, ...expected,
  });
  approved({ expected: "needs approval", status: 412, code: "HoldfastApprovalRequired",
    effect: "require_approval" });
  approved({ expected: "approved, resent", status: 204, result: "executed", approve: true });
  approved({ expected: "used already", status: 409, code: "HoldfastApprovalUsed",
    effect: "deny" });
  return all;
}

async function call(client, step) {
  const answer = await client.call("POST", step.path,
    { version: step.version, raw: step.raw && step.expected === "allowed" });
  return {
    status: answer.status, code: answer.error?.code ?? "",
    record: answer.headers?.get("Holdfast-Record") ?? "", attempts: answer.attempts,
    text: typeof answer.value === "string" ? answer.value : "",
    approval: answer.headers?.get("x-msft-approval-code") ?? "",
  };
}

async function simulator(demo, name, method = "GET") {
  const answer = await fetch(`${demo.simulator_url}/_control/${name}`, { method });
  if (!answer.ok) throw new Error(`simulator: ${name}: ${answer.status}`);
  return answer.json();
}

function records(demo, ...more) {
  const [program, ...given] = demo.records_command;
  const at = given.indexOf("records") + 1;
  const command = [...given.slice(0, at), "search", ...given.slice(at), ...more];
  return execFileSync(program, command, { encoding: "utf8", maxBuffer: 1 << 28 });
}

// What an officer does in another shell.
function approve(demo, code) {
  const [program, ...given] = demo.approvals_command;
  const at = given.indexOf("approvals") + 1;
  const command = [...given.slice(0, at), "approve", code, ...given.slice(at),
    "--token-file", demo.token_files.officer1];
  const said = execFileSync(program, command, { encoding: "utf8" });
  return `$ holdfast approvals approve ${code} --token-file officer1.token\n${said.trimEnd()}`;
}

// What is wrong with the outcome of one step; empty when it is as expected.
function problems(step, got, seen, found) {
  const wrong = [];
  const expect = (holds, text) => holds || wrong.push(text);
  expect(got.status === step.status, `status ${got.status} instead of ${step.status}`);
  if (step.code) expect(got.code === step.code, `code ${got.code} instead of ${step.code}`);
  if (step.raw && step.expected === "allowed") {
    expect(got.text.includes("Successfully submitted recall request"), "the recall's body is lost");
  }
  expect(got.attempts === 1, `the client sent it ${got.attempts} times`);
  const reached = seen.filter((request) => request.method === "POST"
    && request.target.includes(encodeURIComponent(step.id))).length;
  const wanted = step.reaches ?? (step.result ? 1 : 0);
  expect(reached === wanted, `it reached Graph ${reached} times instead of ${wanted}`);
  const first = found.find((record) => record.id === got.record);
  expect(first !== undefined, "there is no record of the id that the answer named");
  const effect = first?.decision?.effect;
  if (step.effect) {
    expect(first?.kind === "decision" && effect === step.effect, `recorded as ${effect}`);
  } else {
    expect(first?.kind === "intent", `recorded as ${first?.kind}, not as an intent`);
    const outcomes = found.filter((record) => record.kind === "outcome"
      && record.operation_id === first?.operation_id);
    expect(outcomes.length === 1, `${outcomes.length} outcomes`);
    expect(outcomes[0]?.outcome?.result === step.result,
      `its outcome is ${outcomes[0]?.outcome?.result}`);
  }
  return wrong;
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    console.log(row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  }
}

async function main() {
  const demo = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const from = new Date(Date.now() - 1000).toISOString();
  const clients = {};
  for (const caller of ["requester", "app"]) {
    clients[caller] = makeClient({ baseUrl: `${demo.proxy_url}/`, token: demo.tokens[caller] });
  }
  const all = steps(demo);
  const answers = [];
  let shell = "";
  for (const step of all) {
    if (step.approve) shell = approve(demo, answers.at(-1).approval);
    answers.push(await call(clients[step.caller], step));
  }
  const seen = await simulator(demo, "requests");
  const found = records(demo, "--format", "ndjson", "--from", from, "--limit", "1000")
    .split("\n").filter(Boolean).map((line) => JSON.parse(line));

  const rows = [["operation", "caller", "mailbox", "expected", "answer", "", "record"]];
  const wrong = [];
  all.forEach((step, index) => {
    const got = answers[index];
    const here = problems(step, got, seen, found);
    here.forEach((text) => wrong.push(`${step.operation} (${step.expected}): ${text}`));
    rows.push([step.operation, step.caller, step.mailbox, step.expected,
      `${got.status} ${got.code}`.trim(), here.length ? "WRONG" : "ok", got.record]);
  });
  console.log("\nThe destructive calls, through the official Graph client:\n");
  table(rows);
  console.log(`\nBetween the first two calls for ${EXECUTIVE}, in an officer's shell:\n\n${shell}`);
  console.log("\nThe records of them, as an officer sees them:\n");
  console.log(records(demo, "--format", "table", "--from", from, "--order", "asc",
    "--limit", "100").trimEnd());
  if (wrong.length) {
    console.log(`\nNot as expected:\n  ${wrong.join("\n  ")}`);
    process.exitCode = 1;
  } else {
    console.log(`\nAll ${all.length} calls went as expected.`);
  }
}

await main();
