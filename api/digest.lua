-- Entity tags of answers that PostgREST itself writes out (tables, lists of people): a digest of the
-- body that is about to be sent and of the headers that belong to it, so a tag can name nothing else.
-- The work is done by then; what is saved is the way to the client.

-- HAProxy holds back as much of an answer as fits its buffer (tune.bufsize, less 1 kB). Below these
-- bounds, of which the sum is smaller, the answer had come to its end.
local most_head, most_body = 2048, 12288

core.register_action("digest", { "http-res" }, function(txn)
  local body = txn.f:res_body() or ""
  if #body > most_body or #txn.f:res_hdrs() > most_head then
    return
  end
  local shown = { body }
  for _, name in ipairs({ "content-type", "content-range", "link" }) do
    table.insert(shown, 1, txn.f:res_fhdr(name) or "")
  end
  local tag = '"' .. txn.c:hex(txn.c:sha1(table.concat(shown, "\n"))):lower() .. '"'
  local tags = txn:get_var("txn.tags")
  if not tags or not (tags:find(tag, 1, true) or tags:match("^%s*%*%s*$")) then
    txn.http:res_set_header("ETag", tag)
    return
  end
  conditional(txn, "full")
  local reply = txn:reply({ status = 304 })
  reply:add_header("ETag", tag)
  for name, values in pairs(txn.http:res_get_headers()) do
    if not name:find("^content%-") and name ~= "transfer-encoding" then
      for _, value in pairs(values) do
        reply:add_header(name, value)
      end
    end
  end
  txn:done(reply)
end)
