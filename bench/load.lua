-- One call after another, each for another item, and a JSON summary at the end.
--
--   wrk -s load.lua … -- TOKEN METHOD BEFORE AFTER BODY_BYTES
--
-- The target is BEFORE, a number of its own for every call, and AFTER.
local thread_count = 0

function setup(thread)
  thread_count = thread_count + 1
  thread:set("thread_index", thread_count)
end

function init(args)
  local token, method, path, suffix, body_bytes = args[1], args[2], args[3], args[4], tonumber(args[5])
  before = method .. " " .. path .. thread_index .. "B"
  after = suffix .. " HTTP/1.1\r\nHost: graph.bench\r\nAuthorization: Bearer " .. token ..
    "\r\nAccept: */*\r\nUser-Agent: bench\r\n"
  if method ~= "GET" then
    after = after .. "Content-Type: application/json\r\nContent-Length: " .. body_bytes .. "\r\n"
  end
  after = after .. "\r\n" .. string.rep("x", body_bytes)
  count = 0
end

function request()
  count = count + 1
  return before .. string.format("%012d", count) .. after
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,' ..
    '"bad_status":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50),
    latency:percentile(99), latency.max, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout))
end
