-- One guarded call after another, each for another message, and a JSON summary at the end.
--
--   wrk -s load.lua … -- TOKEN MAILBOX
local thread_count = 0

function setup(thread)
  thread_count = thread_count + 1
  thread:set("thread_index", thread_count)
end

function init(args)
  local token, mailbox = args[1], args[2]
  before = "POST /v1.0/users/" .. mailbox .. "/messages/AAMkAGI2TG93AAAAA" .. thread_index .. "B"
  after = "/permanentDelete HTTP/1.1\r\nHost: graph.bench\r\nAuthorization: Bearer " .. token ..
    "\r\nContent-Type: application/json\r\nContent-Length: 0\r\nUser-Agent: bench\r\n\r\n"
  count = 0
end

function request()
  count = count + 1
  return before .. string.format("%012d", count) .. after
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,' ..
    '"bad_status":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
