-- GET one path with a random token of a file: wrk … -- PATH TOKENS
local tokens, path = {}, nil

function init(args)
  path = args[1]
  for token in io.lines(args[2]) do
    tokens[#tokens + 1] = token
  end
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", path, {
    ["Authorization"] = "Bearer " .. tokens[math.random(#tokens)],
  })
end
