-- How a conditional request was answered, for its header X-Conditional and for the figures that a
-- worker reads off the map. Each thread of HAProxy has a Lua state of its own and counts for itself.
--
--   short     304: the database itself was asked, and said that the page is unchanged
--   full      304, after all the work of a full answer
--   fallback  the database gave no answer (no connection was free, or it took too long), so that the
--             request went the usual way
--   changed   a full answer

local counts = {}

-- Global, as what follows, for the scripts that make answers themselves.
function count(name)
  counts[name] = (counts[name] or 0) + 1
  core.set_map("cache.map", name .. ":" .. core.thread, tostring(counts[name]))
end

function conditional(txn, way)
  txn:set_var("txn.conditional", way)
  count("conditional:" .. way)
end

core.register_action("conditional", { "http-res" }, function(txn)
  local status = txn.f:status()
  if txn:get_var("txn.unanswered") then
    conditional(txn, "fallback")
  elseif status < 400 then
    conditional(txn, status == 304 and "full" or "changed")
  end
end)
