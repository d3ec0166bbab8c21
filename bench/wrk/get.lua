-- GET one path with the tokens of a file:
-- wrk … -s get.lua URL -- PATH ACTORS SEED ANONYMOUS CONDITIONAL
-- ACTORS has a line "id token" for each request to come; each thread starts elsewhere in it. Where
-- CONDITIONAL, a share, is not 0, the line ends with the tag that so many of them send.
-- Prints one line of JSON: every latency with its count, answers by their status, errors, requests
-- begun in each second, and the time from the first request to the last, in microseconds. The
-- latencies are those that wrk has corrected (wrk.py takes that back).
--
-- wrk's own duration begins once all threads were made, and the first of them send before that. So
-- init does little, each request is made when it is first needed, and the time is taken here.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long tv_sec; long tv_nsec; } bench_timespec;
  int clock_gettime(int clock, bench_timespec *now);
]]
local MONOTONIC = 1
local threads, clock = {}, ffi.new("bench_timespec")

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  path, anonymous, conditional = args[1], args[4] == "1", tonumber(args[5])
  lines, requests, begun, statuses = {}, {}, {}, {}
  for line in io.lines(args[2]) do
    lines[#lines + 1] = line
  end
  position = (number * 7919 + tonumber(args[3])) % #lines
  first, last = 0, 0
end

function request()
  ffi.C.clock_gettime(MONOTONIC, clock)
  local second = tonumber(clock.tv_sec)
  last = second * 1e6 + tonumber(clock.tv_nsec) / 1e3
  if first == 0 then
    first = last
  end
  begun[second] = (begun[second] or 0) + 1
  position = position % #lines + 1
  local made = requests[position]
  if made == nil then
    local token, tag = lines[position]:match(" (%S+) ?(.*)$")
    local headers = anonymous and {} or { Authorization = "Bearer " .. token }
    if position % 100 < 100 * conditional then
      headers["If-None-Match"] = tag
    end
    made = wrk.format("GET", path, headers)
    requests[position] = made
  end
  return made
end

function response(status, _, _)
  statuses[status] = (statuses[status] or 0) + 1
end

-- Of a table of counts that each thread has: their sums, as JSON.
local function pairs_of(name)
  local total, pieces = {}, {}
  for _, thread in ipairs(threads) do
    for key, count in pairs(thread:get(name)) do
      total[key] = (total[key] or 0) + count
    end
  end
  for key, count in pairs(total) do
    pieces[#pieces + 1] = string.format("[%d,%d]", key, count)
  end
  return table.concat(pieces, ",")
end

function done(summary, latency, _)
  local counts = {}
  for i = 1, #latency do
    local value, count = latency(i)
    counts[#counts + 1] = string.format("[%d,%d]", value, count)
  end
  local earliest, latest = math.huge, 0
  for _, thread in ipairs(threads) do
    earliest = math.min(earliest, thread:get("first"))
    latest = math.max(latest, thread:get("last"))
  end
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"latencies":[%s],"seconds":[%s],"statuses":[%s],"requests":%d,"duration":%d,'
      .. '"sending":%.0f,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    table.concat(counts, ","), pairs_of("begun"), pairs_of("statuses"), summary.requests,
    summary.duration, latest - earliest, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
