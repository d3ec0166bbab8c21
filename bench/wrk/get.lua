-- GET one path with the tokens of a file: wrk … -s get.lua URL -- PATH ACTORS SEED ANONYMOUS
-- ACTORS has a line "id token" for each request to come; each thread starts elsewhere in it.
-- Prints one line of JSON: every latency with its count, errors, requests begun in each second.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local path, anonymous = args[1], args[4] == "1"
  requests, begun = {}, {}
  for line in io.lines(args[2]) do
    local token = line:match(" (.+)$")
    local headers = anonymous and {} or { Authorization = "Bearer " .. token }
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
  position = (number * 7919 + tonumber(args[3])) % #requests
end

function request()
  local now = os.time()
  begun[now] = (begun[now] or 0) + 1
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local counts, seconds = {}, {}
  for i = 1, #latency do
    local value, count = latency(i)
    counts[#counts + 1] = string.format("[%d,%d]", value, count)
  end
  local total = {}
  for _, thread in ipairs(threads) do
    for second, count in pairs(thread:get("begun")) do
      total[second] = (total[second] or 0) + count
    end
  end
  for second, count in pairs(total) do
    seconds[#seconds + 1] = string.format("[%d,%d]", second, count)
  end
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"latencies":[%s],"seconds":[%s],"requests":%d,"duration":%d,"connect":%d,"read":%d,'
      .. '"write":%d,"status":%d,"timeout":%d}\n',
    table.concat(counts, ","), table.concat(seconds, ","), summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
