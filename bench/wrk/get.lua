-- GET one path with the tokens of a file:
-- wrk … -s get.lua URL -- PATH ACTORS SEED ANONYMOUS CONDITIONAL
-- ACTORS has a line "id token" for each request to come; each thread starts elsewhere in it. Where
-- CONDITIONAL, a share, is not 0, the line ends with the tag that so many of them send.
-- Prints one line of JSON: every latency with its count, answers by their status, errors, requests
-- begun in each second, the time from the first request to the last in microseconds, and the CPU
-- seconds of all of wrk from the first request to the end of the load. The latencies are those that
-- wrk has corrected (wrk.py takes that back). "answering" is the time from the first request to the
-- last answer, and "waited" how long requests were under way within it, all added up.
--
-- wrk's own duration begins once all threads were made, and the first of them send before that. So
-- init does little, each request is made when it is first needed, and the time is taken here.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long tv_sec; long tv_nsec; } bench_timespec;
  int clock_gettime(int clock, bench_timespec *now);
  typedef struct { uint64_t count, limit, min, max, data[]; } bench_stats;
]]
local MONOTONIC, PROCESS_CPU = 1, 2
local threads, clock = {}, ffi.new("bench_timespec")

local function now(which)
  ffi.C.clock_gettime(which, clock)
  return tonumber(clock.tv_sec) * 1e6 + tonumber(clock.tv_nsec) / 1e3
end

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
  first, last, used, answer = 0, 0, 0, 0
  waiting, sent, came = 0, 0, 0
end

function request()
  last = now(MONOTONIC)
  local second = math.floor(last / 1e6)
  if first > 0 or number > 0 then -- the first one of all wrk only looks at
    waiting, sent = waiting + 1, sent + last
  end
  if first == 0 then
    first, used = last, now(PROCESS_CPU)
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
  answer = now(MONOTONIC)
  waiting, came = waiting - 1, came + answer
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

-- Of all latencies: each with its count, as pieces of JSON. latency(i) looks for the i-th from the
-- beginning, each time: 40,000 of them up to two seconds take a minute. So they are read where wrk
-- has them (src/stats.h, 4.0 to 4.2), if that is what a latency object still is; if not, slowly.
local function latencies(latency)
  local counts, stats = {}, ffi.cast("bench_stats **", latency)[0]
  if tonumber(stats.min) == latency.min and tonumber(stats.max) == latency.max then
    for value = latency.min, latency.max do
      local count = tonumber(stats.data[value])
      if count > 0 then
        counts[#counts + 1] = string.format("[%d,%d]", value, count)
      end
    end
    if #counts == #latency then
      return counts
    end
  end
  counts = {}
  for i = 1, #latency do
    counts[i] = string.format("[%d,%d]", latency(i))
  end
  return counts
end

function done(summary, latency, _)
  local spent = now(PROCESS_CPU)
  local earliest, latest, answered, before = math.huge, 0, 0, math.huge
  for _, thread in ipairs(threads) do
    earliest = math.min(earliest, thread:get("first"))
    latest = math.max(latest, thread:get("last"))
    answered = math.max(answered, thread:get("answer"))
    before = math.min(before, thread:get("used"))
  end
  local waited = 0
  for _, thread in ipairs(threads) do
    waited = waited + thread:get("waiting") * answered + thread:get("came") - thread:get("sent")
  end
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"latencies":[%s],"seconds":[%s],"statuses":[%s],"requests":%d,"duration":%d,'
      .. '"sending":%.0f,"answering":%.0f,"waited":%.0f,"cpu":%.6f,'
      .. '"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    table.concat(latencies(latency), ","), pairs_of("begun"), pairs_of("statuses"), summary.requests,
    summary.duration, latest - earliest, math.max(answered - earliest, 0), waited,
    (spent - before) / 1e6, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
